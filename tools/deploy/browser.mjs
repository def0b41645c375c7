// Drops real images on a page that `ortrain web` wrote, in headless Chromium,
// and compares what it shows with what ortrain predicts.
//
//   node browser.mjs ORTRAIN SITE MODEL SCREENSHOT.png [--dark] IMAGE…
//
// Environment: CHROMIUM names the browser (default /usr/bin/chromium).
import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, extname, join, normalize } from 'node:path';
import { chromium } from 'playwright-core';

const args = process.argv.slice(2);
const dark = args.includes('--dark');
const [ortrain, site, model, screenshot, ...images] = args.filter((a) => a !== '--dark');
if (!images.length) {
  console.error('usage: node browser.mjs ORTRAIN SITE MODEL SCREENSHOT.png [--dark] IMAGE…');
  process.exit(2);
}
const browserPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
if (!existsSync(browserPath)) {
  console.error(`there is no ${browserPath}: install your distribution's chromium, or name a browser with CHROMIUM`);
  process.exit(1);
}

const types = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };
const server = createServer((request, reply) => {
  const path = normalize(join(site, decodeURIComponent(new URL(request.url, 'http://x').pathname)));
  const file = path.endsWith('/') ? join(path, 'index.html') : path;
  if (!file.startsWith(normalize(site)) || !existsSync(file) || !statSync(file).isFile()) {
    reply.writeHead(404).end();
    return;
  }
  reply.writeHead(200, { 'Content-Type': types[extname(file)] ?? 'application/octet-stream' });
  createReadStream(file).pipe(reply);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const profile = mkdtempSync(join(tmpdir(), 'ortrain-browser-'));
let failures = 0;
const check = (good, text) => {
  console.log(`${good ? 'ok  ' : 'FAIL'} ${text}`);
  if (!good) failures++;
};

// drop puts a file on the page as a person does, and returns what it shows.
async function drop(page, name, bytes, type) {
  const before = await page.evaluate(() => document.documentElement.dataset.answered ?? '');
  const data = await page.evaluateHandle(([content, fileName, mime]) => {
    const transfer = new DataTransfer();
    if (content !== null) {
      transfer.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], fileName, { type: mime }));
    }
    return transfer;
  }, [bytes === null ? null : bytes.toString('base64'), name, type]);
  await page.dispatchEvent('#drop', 'dragover', { dataTransfer: data });
  await page.dispatchEvent('#drop', 'drop', { dataTransfer: data });
  await page.waitForFunction((was) => {
    const now = document.documentElement.dataset.answered;
    return now && now !== was;
  }, before, { timeout: 60000 });
  return page.evaluate(() => ({
    classes: [...document.querySelectorAll('#classes li')].map((li) => ({
      index: Number(li.dataset.index), name: li.querySelector('.name').textContent, share: parseFloat(li.querySelector('.share').textContent) / 100,
    })),
    status: document.querySelector('#status').textContent,
    error: document.querySelector('#error').hidden ? '' : document.querySelector('#error').textContent,
  }));
}

const context = await chromium.launchPersistentContext(profile, {
  executablePath: browserPath, headless: true, viewport: { width: 1100, height: 720 }, colorScheme: dark ? 'dark' : 'light',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
try {
  const page = context.pages()[0] ?? await context.newPage();
  const complaints = [], requests = [];
  page.on('pageerror', (e) => complaints.push(e.message));
  page.on('console', (m) => { if (m.type() === 'error') complaints.push(m.text()); });
  page.on('request', (r) => requests.push(r.url()));
  const origin = `http://127.0.0.1:${server.address().port}`;
  await page.goto(`${origin}/`);
  await page.waitForFunction(() => document.documentElement.dataset.ready || !document.querySelector('#error').hidden, null, { timeout: 60000 });
  const ready = await page.evaluate(() => document.documentElement.dataset.ready === 'yes');
  check(ready, `the page is ready: ${await page.textContent('#about')} ${await page.textContent('#error')}`);
  if (!ready) throw new Error(complaints.join('\n'));

  const wanted = JSON.parse(execFileSync(ortrain, ['predict', '--json', '--onnx', model, ...images]));
  for (const [i, image] of images.entries()) {
    const shown = await drop(page, basename(image), readFileSync(image), '');
    const want = wanted[i].classes, got = shown.classes;
    const off = Math.max(...got.map((c, k) => Math.abs(c.share - (want.find((w) => w.index === c.index)?.probability ?? (k < 3 ? Infinity : 0)))));
    check(!shown.error && got.length === Math.min(5, want.length) && got[0].index === want[0].index && got[0].name === want[0].name,
      `${basename(image)}: the page says ${got[0]?.name} (${(100 * got[0]?.share).toFixed(1)} %), Go says ${want[0].name} (${(100 * want[0].probability).toFixed(1)} %); ${shown.status}${shown.error}`);
    check(got.length > 0 && off < 0.03, `${basename(image)}: the shares differ by at most ${(100 * off).toFixed(2)} %`);
  }
  await page.waitForTimeout(500); // the bars have grown
  await page.screenshot({ path: screenshot });
  console.log(`     ${screenshot}`);

  for (const [name, content, says] of [
    ['notes.txt', Buffer.from('no image at all'), 'not an image'], ['empty.png', Buffer.alloc(0), 'empty'],
    ['cut.jpg', readFileSync(images[0]).subarray(0, 60), 'not an image'], ['nothing', null, 'not an image'],
  ]) {
    const shown = await drop(page, name, content, 'image/png');
    check(shown.error.includes(says) && shown.classes.length === 0, `${name}: ${shown.error}`);
  }
  const again = await drop(page, basename(images[0]), readFileSync(images[0]), '');
  check(!again.error && again.classes[0].index === wanted[0].classes[0].index, 'a good image after bad ones is classified');

  // The keyboard reaches the file chooser, which classifies as well.
  await page.reload();
  await page.waitForFunction(() => document.documentElement.dataset.ready);
  await page.keyboard.press('Tab');
  check(await page.evaluate(() => document.activeElement.id) === 'file', 'the keyboard reaches the file chooser');
  await page.setInputFiles('#file', images[0]);
  await page.waitForFunction(() => document.documentElement.dataset.answered, null, { timeout: 60000 });
  check(Number(await page.getAttribute('#classes li', 'data-index')) === wanted[0].classes[0].index, 'a chosen file is classified');
  check(await page.getAttribute('#error', 'role') === 'alert' && await page.getAttribute('#status', 'role') === 'status', 'answers and errors are announced');
  check(requests.every((u) => u.startsWith(origin) || /^(blob|data):/.test(u)), `${requests.length} requests, none to another host`);
  check(complaints.length === 0, `no errors in the console ${complaints.join(' | ')}`);
} finally {
  await context.close();
  server.close();
  rmSync(profile, { recursive: true, force: true });
}
process.exit(failures ? 1 : 0);
