// Small things that many views show.

import { computed } from '@preact/signals';
import { Component } from 'preact';
import { useMemo } from 'preact/hooks';
import { now } from '../clock.js';
import { age } from '../lib/format.js';
import { html } from '../lib/html.js';
import { go, href } from '../route.js';

export const Status = ({ word, tone }) => html`<span class="status ${tone}"><i class="dot" /><span>${word}</span></span>`;

/** Follows the clock by itself: nothing is drawn for it but the text, and that only when it has changed. */
export function Age({ since }) {
  const text = useMemo(() => computed(() => age(since, now.value)), [since]);
  return html`<time datetime=${since} title=${since && new Date(since).toLocaleString()}>${text}</time>`;
}

export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

export const Key = ({ children }) => html`<kbd>${children}</kbd>`;

/** A link to an object's panel, in the view where we are. */
export const ObjectLink = ({ plural, namespace = '', name, children }) =>
  html`<a class="object" href=${href({ show: [plural, namespace, name].join('/'), tab: '' })}>${children ?? name}</a>`;

export const Chips = ({ items }) =>
  items.length ? html`<span class="chips">${items.map((item) => html`<span class="chip" title=${item} onClick=${() => go({ q: item })}>${item}</span>`)}</span>` : html`<span class="dim">none</span>`;

/** A share of a whole, as a bar. */
export const Meter = ({ label, used, whole, words }) => {
  const share = whole > 0 ? Math.min(1, used / whole) : 0;
  return html`<div class="meter">
    <div class="meter-words"><span>${label}</span><span class="dim">${words}</span></div>
    <div class="track"><div class=${share > 0.9 ? 'fill bad' : 'fill'} style=${{ width: `${(share * 100).toFixed(1)}%` }} /></div>
  </div>`;
};

/** What goes wrong in one place is said there, and the rest goes on. */
export class Guard extends Component {
  static getDerivedStateFromError = (error) => ({ error });

  componentDidUpdate(before) {
    if (before.of !== this.props.of && this.state.error) this.setState({ error: null });
  }

  render({ children }, { error }) {
    return error ? html`<${Empty}>This could not be shown: ${error.message}<//>` : children;
  }
}
