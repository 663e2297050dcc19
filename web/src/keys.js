// The keyboard's way around.

import { signal } from '@preact/signals';
import { askDelete, askScale } from './parts/dialogs.js';
import { close, shownObject, tabsOf } from './parts/panel.js';
import { go, route, toView } from './route.js';
import { views } from './views/index.js';

export const help = signal(false);

export const KEYS = [
  ['1 … 9 0', 'views, in the order of the menu'],
  ['/', 'filter'],
  ['n', 'namespace'],
  ['j k ↓ ↑', 'next and previous object'],
  ['Enter', 'open'],
  ['d l t e y', 'details, logs, terminal, events, YAML of the open object'],
  ['s', 'scale'],
  ['Delete', 'delete, after a question'],
  ['Esc', 'close, or clear the filter'],
  ['?', 'this list'],
];

const isTyping = ({ target }) => target.closest?.('input, textarea, select, [contenteditable]');

export function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  if (isTyping(event)) {
    if (event.key === 'Escape' && event.target.matches('.filter')) event.target.blur();
    return;
  }
  if (act(event.key)) event.preventDefault();
}

function act(key) {
  // 0 comes after 9, as on a keyboard
  const view = /^\d$/.test(key) && views[(Number(key) + 9) % 10];
  if (view) {
    go(toView(view.id));
    return true;
  }
  const deed = DEEDS[key];
  return deed ? deed() !== false : actOnObject(key);
}

const DEEDS = {
  '/': () => focus('.filter'),
  n: () => focus('.namespace'),
  '?': () => (help.value = true),
  j: () => step(1),
  ArrowDown: () => step(1),
  k: () => step(-1),
  ArrowUp: () => step(-1),
  Enter: () => openFocused(),
  Escape: () => (route.value.show ? close() : go({ q: '' }, { replace: true })),
};

function actOnObject(key) {
  const open = shownObject();
  if (!open) return false;
  const { resource, object } = open;
  const tab = tabsOf(resource).find((one) => one.key === key);
  if (tab) go({ tab: tab.id }, { replace: true });
  else if (key === 'Delete') askDelete(resource, object);
  else if (key === 's' && resource.scalable) askScale(resource, object);
  else return false;
  return true;
}

const focus = (selector) => document.querySelector(selector)?.focus();

function step(by) {
  const rows = [...document.querySelectorAll('[data-show]')];
  if (rows.length === 0 || document.activeElement.closest('pre, .shell')) return false;
  const here = rows.findIndex((row) => row === document.activeElement || row.dataset.show === route.value.show);
  const next = rows[here < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, here + by))];
  next.focus();
  next.scrollIntoView({ block: 'nearest' });
  // the open panel follows
  if (route.value.show) go({ show: next.dataset.show }, { replace: true });
  return true;
}

function openFocused() {
  const row = document.activeElement.closest('[data-show]');
  if (!row || document.activeElement !== row) return false;
  go({ show: row.dataset.show, tab: '' });
  return true;
}
