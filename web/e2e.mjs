// Looks at a running dashboard with a browser, as a user would: `node e2e.mjs LOGIN_URL DIRECTORY [NAMESPACE/POD]`. Goes through every view in
// light and dark, wide and narrow, and leaves pictures in DIRECTORY. It makes a Secret and a Deployment without pods, and deletes them through the
// page. With a pod it also reads its log and types into its terminal.
// Ends with 1 and a sentence for each thing that is not as it should be. CHROMIUM names the browser's program.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [url, directory, pod] = process.argv.slice(2);
if (!directory) {
  console.error('usage: node e2e.mjs LOGIN_URL DIRECTORY [NAMESPACE/POD]');
  process.exit(2);
}
const VIEWS = ['overview', 'workloads', 'pods', 'services', 'ingresses', 'configmaps', 'secrets', 'events', 'nodes', 'namespaces', 'more'];
const SIZES = [{ width: 1280, height: 800 }, { width: 800, height: 700 }];
const PATIENCE = 60_000;
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const wrong = [];
const check = async (what, deed) => {
  try {
    await deed();
    console.log(`ok    ${what}`);
    return true;
  } catch (error) {
    wrong.push(what);
    console.log(`WRONG ${what}: ${error.message.split('\n')[0]}`);
    return false;
  }
};
const finish = async () => {
  await context.close();
  await rm(profile, { recursive: true, force: true });
  if (wrong.length) console.error([`${wrong.length} wrong`, ...complaints.map((one) => `the browser says: ${one}`)].join('\n'));
  process.exit(wrong.length ? 1 : 0);
};
const expect = (condition, words) => {
  if (!condition) throw new Error(words);
};

await mkdir(directory, { recursive: true });
const profile = await mkdtemp(join(tmpdir(), 'dashboard-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS, headless: true, viewport: SIZES[0],
});
context.setDefaultTimeout(PATIENCE);
const page = await context.newPage();
const complaints = [];
page.on('pageerror', (error) => complaints.push(error.message));
page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
const picture = (name) => page.screenshot({ path: join(directory, `${name}.png`) });
const origin = new URL(url).origin;
const visit = (hash) => page.evaluate((target) => { location.hash = target; }, hash);

await check('without a session there is a page that says what to do', async () => {
  const answer = await page.goto(origin);
  expect(answer.status() === 401, `it answers ${answer.status()}`);
  expect((await page.textContent('body')).includes('dashboard'), 'it does not say how to get in');
  await picture('no-session');
  complaints.length = 0; // the browser logs the 401
});

const isIn = await check('the link opens the dashboard, and it is live', async () => {
  await page.goto(url);
  expect(new URL(page.url()).pathname === '/', `it leads to ${page.url()}`);
  await page.waitForSelector('.line-state.ok');
});

if (!isIn) {
  await picture('not-open');
  await finish();
}

await check('the link opens nothing a second time', async () => {
  const other = await context.browser()?.newContext();
  const response = await (other ?? context).request.get(url, { maxRedirects: 0 });
  expect(response.status() === 403, `it answers ${response.status()}`);
  await other?.close();
});

for (const scheme of ['light', 'dark']) {
  for (const size of SIZES) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize(size);
    for (const view of VIEWS) {
      await check(`${view}, ${scheme}, ${size.width} wide`, async () => {
        await visit(`#/${view}`);
        await page.waitForSelector('.menu a.on');
        await page.waitForFunction(() => !document.querySelector('.content')?.textContent.includes('Loading …'));
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        expect(overflow <= 0, `it is ${overflow} pixels too wide`);
        await picture(`${view}-${scheme}-${size.width}`);
      });
    }
  }
}

await page.setViewportSize(SIZES[0]);
await check('an object opens beside its table, with its source', async () => {
  await visit('#/nodes');
  await page.click('.row[data-show] .name');
  await page.waitForSelector('.panel .pairs');
  await picture('node-details');
  await page.keyboard.press('y');
  await page.waitForFunction(() => document.querySelector('.source')?.textContent.includes('kind: Node'));
  await picture('node-source');
  await page.keyboard.press('Escape');
  await page.waitForSelector('.panel', { state: 'detached' });
});

const api = async (method, path, data) => {
  const answer = await context.request.fetch(origin + path, { method, data, headers: { Origin: origin } });
  return { code: answer.status(), ...(await answer.json()) };
};
const deleteShown = async (name) => {
  await page.click('.panel button:has-text("Delete")');
  await page.click('dialog button.danger');
  await page.waitForSelector(`.row[data-show$="/${name}"]`, { state: 'detached' });
};

await check('what somebody makes appears by itself, and a secret stays one until asked', async () => {
  const name = 'dashboard-e2e';
  await visit('#/secrets?ns=default');
  await page.waitForSelector('.content .table, .content .empty');
  await api('POST', '/api/v1/namespaces/default/secrets', { kind: 'Secret', apiVersion: 'v1', metadata: { name }, stringData: { password: 'hunter2' } });
  await page.click(`.row[data-show="secrets/default/${name}"]`);
  await page.waitForSelector('.panel .card');
  const shows = () => page.evaluate(() => document.body.textContent.includes('hunter2') || document.body.textContent.includes('aHVudGVyMg'));
  expect(!(await shows()), 'the value is shown');
  await page.keyboard.press('y');
  await page.waitForSelector('.source');
  expect(!(await shows()), 'the value is shown in the source');
  await page.keyboard.press('d');
  await page.click('.panel .card button:has-text("Show")');
  expect(await shows(), 'the value is not shown when asked for');
  await picture('secret-shown');
  await deleteShown(name);
  await page.keyboard.press('Escape');
});

await check('a deployment is scaled and deleted', async () => {
  const name = 'dashboard-e2e';
  const path = `/apis/apps/v1/namespaces/default/deployments`;
  const template = { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'main', image: 'dashboard-e2e:none' }] } };
  await visit('#/workloads?ns=default');
  await api('POST', path, { kind: 'Deployment', apiVersion: 'apps/v1', metadata: { name }, spec: { replicas: 0, selector: { matchLabels: { app: name } }, template } });
  await page.click(`.row[data-show="deployments/default/${name}"]`);
  await page.waitForSelector('.panel .pairs');
  await page.keyboard.press('s');
  await page.fill('dialog input', '1');
  await picture('scale');
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog', { state: 'detached' });
  await page.waitForSelector(`.row[data-show="deployments/default/${name}"] .status:has-text("0/1")`);
  expect((await api('GET', `${path}/${name}`)).spec.replicas === 1, 'the API knows nothing of it');
  await picture('deployment-details');
  await deleteShown(name);
  expect((await api('GET', `${path}/${name}`)).code === 404, 'the API still has it');
  await picture('deployment-deleted');
  await page.keyboard.press('Escape');
});

await check('the filter and the keyboard find things', async () => {
  await page.keyboard.press('0');
  await page.waitForSelector('.row[data-show="namespaces//kube-system"]');
  await page.keyboard.press('/');
  await page.keyboard.type('kube-sys');
  await page.waitForSelector('.row[data-show="namespaces//default"]', { state: 'detached' });
  await page.keyboard.press('Escape');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.panel h2:has-text("kube-system")');
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await page.waitForSelector('dialog .keys');
  await picture('keys');
  await page.keyboard.press('Escape');
});

await check('the session is still there after a reload, and the address says what was looked at', async () => {
  await visit('#/namespaces?show=namespaces//default');
  await page.waitForSelector('.panel .pairs');
  await page.reload();
  await page.waitForSelector('.panel h2:has-text("default")');
  await page.waitForSelector('.line-state.ok');
  await page.keyboard.press('Escape');
});

if (pod) {
  const [namespace, name] = pod.split('/');
  await check('the pod has details', async () => {
    await visit(`#/pods?show=pods/${namespace}/${name}`);
    await page.waitForSelector('.panel .card');
    await picture('pod-details');
  });
  await check('the pod has a log', async () => {
    await page.keyboard.press('l');
    await page.waitForFunction(() => document.querySelector('.log')?.textContent.trim());
    await picture('pod-log');
  });
  await check('the pod has a terminal, which says how the shell ended', async () => {
    await page.keyboard.press('t');
    await page.waitForSelector('.xterm-rows');
    await page.waitForFunction(() => document.querySelector('.xterm-rows')?.textContent.trim());
    await page.keyboard.type('echo answer=$((6*7))\n');
    await page.waitForFunction(() => document.querySelector('.xterm-rows')?.textContent.includes('answer=42'));
    await picture('pod-terminal');
    await page.keyboard.type('exit 3\n');
    await page.waitForFunction(() => document.querySelector('.bar').textContent.includes('exit code 3'));
    await picture('pod-terminal-ended');
  });
}

await check('the browser has nothing to complain of', () => expect(complaints.length === 0, complaints.join('; ')));
await finish();
