// Where a service answers.

const ANSWERS_HTTPS = new Set([443, 6443, 8443]);

function link(host, port, { name = '', protocol = 'TCP', appProtocol = '', port: own }) {
  if (protocol !== 'TCP') return undefined;
  const secure = ANSWERS_HTTPS.has(own) || /^https/.test(appProtocol || name);
  const usual = port === (secure ? 443 : 80);
  const named = host.includes(':') ? `[${host}]` : host;
  return `http${secure ? 's' : ''}://${named}${usual ? '' : `:${port}`}/`;
}

/** The addresses of a service, the one that is reached from the widest around first: `{ text, url, kind }`. */
export function addresses({ spec, status }, node) {
  const ports = spec.ports ?? [];
  const at = (host, kind, number = (port) => port.port) =>
    ports.filter(number).map((port) => ({ text: `${host}:${number(port)}`, url: link(host, number(port), port), kind }));
  const outside = [...(status?.loadBalancer?.ingress ?? []).map((i) => i.ip ?? i.hostname), ...(spec.externalIPs ?? [])];
  const isNodePort = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  return [
    ...outside.flatMap((host) => at(host, 'load balancer')),
    ...(isNodePort ? at(node, 'node port', (port) => port.nodePort) : []),
    ...(spec.clusterIP && spec.clusterIP !== 'None' ? at(spec.clusterIP, 'in the cluster') : []),
  ];
}

/** `80:30080/TCP, 53/UDP`, as kubectl prints it. */
export const portText = ({ spec }) =>
  (spec.ports ?? []).map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ''}/${p.protocol ?? 'TCP'}`).join(', ');
