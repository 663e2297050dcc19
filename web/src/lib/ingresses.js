// What an Ingress says, in plain data.

const secured = (ingress) => new Set((ingress.spec.tls ?? []).flatMap((tls) => tls.hosts ?? []));

/** Each host once, with a link where it is a name: `[{ text, url }]`; `*` for every name. */
export function hostsOf(ingress) {
  const secure = secured(ingress);
  const names = [...new Set((ingress.spec.rules ?? []).map((rule) => rule.host ?? ''))];
  if (!names.length) return [{ text: '*' }];
  return names.map((name) =>
    !name || name.startsWith('*') ? { text: name || '*' } : { text: name, url: `${secure.has(name) ? 'https' : 'http'}://${name}` });
}

export const addressOf = (ingress) =>
  (ingress.status?.loadBalancer?.ingress ?? []).map((at) => at.ip ?? at.hostname).join(', ');

const backend = ({ service, resource }) =>
  service ? `${service.name}:${service.port?.name || service.port?.number}` : `${resource?.kind}/${resource?.name}`;

/** `[{ from: 'host/path', to: 'service:port' }]`, the default last. */
export function pathsOf(ingress) {
  const ruled = (ingress.spec.rules ?? []).flatMap((rule) =>
    (rule.http?.paths ?? []).map((path) => ({ from: `${rule.host ?? '*'}${path.path || '/'}`, to: backend(path.backend) })));
  const rest = ingress.spec.defaultBackend ? [{ from: 'everything else', to: backend(ingress.spec.defaultBackend) }] : [];
  return [...ruled, ...rest];
}
