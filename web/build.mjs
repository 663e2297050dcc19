// Puts the dashboard together in dist/: our own modules as they are, those of others out of node_modules, an import map that
// finds them, and a packed copy of each beside it. There is no bundler: browsers load modules by themselves.
import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
const built = join(here, 'dist');
/** Where it is put together, beside what it replaces. */
const dist = `${built}.new`;

/** What is imported by name, and where it stands in node_modules. */
const vendored = {
  preact: 'preact/dist/preact.mjs',
  'preact/hooks': 'preact/hooks/dist/hooks.mjs',
  htm: 'htm/dist/htm.mjs',
  '@preact/signals': '@preact/signals/dist/signals.mjs',
  '@preact/signals-core': '@preact/signals-core/dist/signals-core.mjs',
  '@xterm/xterm': '@xterm/xterm/lib/xterm.mjs',
  '@xterm/addon-fit': '@xterm/addon-fit/lib/addon-fit.mjs',
};
const styles = { 'xterm.css': '@xterm/xterm/css/xterm.css' };
const licences = ['preact', 'htm', '@preact/signals', '@preact/signals-core', '@xterm/xterm', '@xterm/addon-fit'];

const fileName = (specifier) => `${specifier.replace('@', '').replaceAll('/', '-')}.mjs`;

/** Without the line that points to a source map, which is not shipped. */
async function copyModule(from, to) {
  const text = await readFile(join(here, 'node_modules', from), 'utf8');
  await writeFile(to, text.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, '\n'));
}

async function writeLicences() {
  const texts = licences.map(async (name) => {
    const directory = join(here, 'node_modules', name);
    const file = (await readdir(directory)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? await readFile(join(directory, file), 'utf8') : '';
    return `${name}\n${'='.repeat(name.length)}\n\n${text.trim()}\n`;
  });
  await writeFile(join(dist, 'vendor', 'licences.txt'), (await Promise.all(texts)).join('\n\n'));
}

/** Every module is asked for at once, instead of each by the one that imports it; but for the terminal, which waits until it is opened. */
async function preloads() {
  const own = await readdir(join(here, 'src'), { recursive: true });
  const modules = own.filter((file) => file.endsWith('.js')).map((file) => `/${file}`);
  const others = Object.keys(vendored).filter((name) => !name.startsWith('@xterm/')).map((name) => `/vendor/${fileName(name)}`);
  return [...others, ...modules.sort()].map((path) => `<link rel="modulepreload" href="${path}">`).join('\n');
}

async function writeIndex() {
  const imports = Object.fromEntries(Object.keys(vendored).map((name) => [name, `/vendor/${fileName(name)}`]));
  const page = await readFile(join(here, 'src', 'index.html'), 'utf8');
  const filled = page.replace('{importmap}', JSON.stringify({ imports })).replace('{preloads}', await preloads());
  await writeFile(join(dist, 'index.html'), filled);
}

async function pack(directory) {
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const plain = await readFile(path);
    const packed = await promisify(gzip)(plain, { level: 9 });
    if (packed.length < plain.length) await writeFile(`${path}.gz`, packed);
  }
}

/** Every file below a directory, by its path there. */
async function filesOf(directory) {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => []);
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  const read = async (path) => [relative(directory, path), await readFile(path)];
  return new Map(await Promise.all(paths.sort().map(read)));
}

async function areTheSame(one, other) {
  const [ones, others] = await Promise.all([filesOf(one), filesOf(other)]);
  return ones.size === others.size && [...ones].every(([path, bytes]) => others.get(path)?.equals(bytes));
}

await rm(dist, { recursive: true, force: true });
await mkdir(join(dist, 'vendor'), { recursive: true });
await cp(join(here, 'src'), dist, { recursive: true });
await cp(join(here, '..', 'assets', 'icons', 'monopod.svg'), join(dist, 'favicon.svg'));
for (const [name, from] of Object.entries(vendored)) await copyModule(from, join(dist, 'vendor', fileName(name)));
for (const [name, from] of Object.entries(styles)) await cp(join(here, 'node_modules', from), join(dist, 'vendor', name));
await writeLicences();
await writeIndex();
await pack(dist);
// what has not changed is not written: the program would be linked again for nothing
if (await areTheSame(dist, built)) {
  await rm(dist, { recursive: true });
} else {
  await rm(built, { recursive: true, force: true });
  await rename(dist, built);
}
