// A shell in a container. The terminal emulator is large, and is loaded when one is opened.

import { useEffect, useRef, useState } from 'preact/hooks';
import { openShell } from '../cluster/exec.js';
import { html } from '../lib/html.js';
import { ContainerChoice, useContainer } from './container-choice.js';

const COMMAND = ['sh'];
const FONT = 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace';
const THEME = { background: '#0d1015', foreground: '#d7dee7', cursor: '#8fb4ff', selectionBackground: '#33415a' };

async function load() {
  const [{ Terminal }, { FitAddon }] = await Promise.all([import('@xterm/xterm'), import('@xterm/addon-fit'), style()]);
  const terminal = new Terminal({ fontFamily: FONT, fontSize: 13, theme: THEME, cursorBlink: true, scrollback: 5_000 });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  return { terminal, fit };
}

function style() {
  const id = 'xterm-style';
  if (document.getElementById(id)) return undefined;
  return new Promise((resolve, reject) => {
    const link = Object.assign(document.createElement('link'), { id, rel: 'stylesheet', href: '/vendor/xterm.css', onload: resolve, onerror: reject });
    document.head.append(link);
  });
}

/** A terminal in `box`, joined to a shell; returns how to end both. */
async function open(box, pod, container, say) {
  const { terminal, fit } = await load();
  const fresh = () => {
    try {
      fit.fit();
    } catch {
      // not laid out: the panel is hidden
    }
  };
  terminal.open(box);
  fresh();
  const shell = openShell(pod, container, COMMAND, {
    open: () => {
      say({ phase: 'open', words: '' });
      shell.resize(terminal.cols, terminal.rows);
      terminal.focus();
    },
    output: (bytes) => terminal.write(bytes),
    end: ({ words }) => {
      say({ phase: 'ended', words });
      terminal.options.disableStdin = true;
      terminal.write(`\r\n\x1b[2m${words}\x1b[0m\r\n`);
    },
  });
  terminal.onData(shell.type);
  terminal.onResize(({ cols, rows }) => shell.resize(cols, rows));
  const observer = new ResizeObserver(fresh);
  observer.observe(box);
  return () => {
    observer.disconnect();
    shell.close();
    terminal.dispose();
  };
}

export function Shell({ object: pod }) {
  const [container, setContainer] = useContainer(pod);
  const [state, say] = useState({ phase: 'opening', words: 'connecting …' });
  const [round, setRound] = useState(0);
  const box = useRef(null);
  const { uid } = pod.metadata;

  useEffect(() => {
    let gone = false;
    let close = () => {};
    say({ phase: 'opening', words: 'connecting …' });
    const where = { namespace: pod.metadata.namespace, name: pod.metadata.name };
    open(box.current, where, container, (next) => gone || say(next)).then(
      (end) => (gone ? end() : (close = end)),
      (error) => gone || say({ phase: 'ended', words: `the terminal could not be loaded: ${error.message}` }),
    );
    return () => {
      gone = true;
      close();
    };
  }, [uid, container, round]);

  return html`<div class="tool">
    <div class="bar">
      <${ContainerChoice} pod=${pod} container=${container} choose=${setContainer} />
      <span class="grow" />
      <span class="dim ellipsis" title=${state.words}>${state.words}</span>
      ${state.phase === 'ended' && html`<button class="quiet" onClick=${() => setRound(round + 1)}>Open again</button>`}
    </div>
    <div class="shell" ref=${box} />
  </div>`;
}
