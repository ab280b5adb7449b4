// A browser without a window: `browser.mjs CHROMIUM URL FIELD VALUE UNTIL`. Goes to URL, types VALUE into the field of this
// name of the form that it is shown, sends it, and prints, as JSON, where it is once that address holds UNTIL, and its
// cookies' names.
import { chromium } from 'playwright-core';

const [executablePath, url, field, value, until] = process.argv.slice(2);
const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking', '--no-first-run'];
const browser = await chromium.launch({ executablePath, headless: true, args });
try {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(url);
  const form = page.url();
  await page.fill(`input[name="${field}"]`, value);
  await page.click('form:has(input[name="' + field + '"]) button[type="submit"]');
  await page.waitForURL((address) => address.href.includes(until));
  const trade = async (code, organization) => {
    const answer = await fetch('/api/auth/oauth/signin', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code, organization_name: organization }),
    });
    return { status: answer.status, body: await answer.json() };
  };
  const code = new URL(page.url()).hash.match(/oauth_code=([^&]+)/)?.[1];
  const traded = code ? await page.evaluate(`(${trade})(${JSON.stringify(code)}, 'By browser')`) : null;
  const profile = code ? await page.evaluate('fetch("/api/users/profile").then((answer) => answer.json())') : null;
  console.log(JSON.stringify({ form, url: page.url(), script_sees: await page.evaluate('document.cookie'), traded, profile }));
} finally {
  await browser.close();
}
