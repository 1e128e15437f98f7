// The page in a browser, over what `spanring demo` left: every view opens, says what it should, logs no
// error, and has nothing that axe finds against it, wide and narrow, light and dark.
//
// Usage: page_test.mjs PROGRAM [SCREENSHOTS]
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { largeTrace, skewedTrace } from "./large_trace.mjs";
import { serve } from "./serving.mjs";

const [program, screenshots] = process.argv.slice(2);
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const TOKEN = "0123456789abcdef-of-the-test";
const VIEWS = [
  "/executions", "/executions/2193", "/executions/2193/compare/2195", "/traces/of-2193", "/operations", "/health",
  "/nowhere",
];
const LOOKS = [
  { width: 1280, colorScheme: "light" },
  { width: 1280, colorScheme: "dark" },
  { width: 400, colorScheme: "light" },
  { width: 400, colorScheme: "dark" },
];

let browser;
let server;
let traceId; // of execution 2193
before(async () => {
  server = await serve(program);
  const answer = await fetch(`${server.url}/api/v1/executions/2193`);
  traceId = (await answer.json()).trace_id.replaceAll("-", "");
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  if (screenshots) mkdirSync(screenshots, { recursive: true });
});
after(async () => {
  await browser?.close();
  server?.stop();
});

async function open(path, { width = 1280, colorScheme = "light", url = server.url } = {}) {
  // bypassCSP would hide what the policy forbids: axe is put in by the debugger instead.
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  const errors = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(url + path.replace("of-2193", traceId));
  await page.waitForSelector("h1");
  await page.waitForLoadState("networkidle");
  return { page, errors };
}

// What the page shows when the API answers with a trace that the demo does not have.
async function openOther(trace, look = {}, path = "/executions/2193") {
  const opened = await open("/operations", look);
  const { page } = opened;
  page.on("dialog", () => opened.errors.push("a dialog opened"));
  await page.route("**/api/v1/executions/2193/trace", (route) => route.fulfill({ json: trace }));
  await page.goto(server.url + path);
  await page.waitForSelector(".row.span");
  await page.waitForLoadState("networkidle");
  return opened;
}

async function violations(page) {
  await page.evaluate(readFileSync(axe, "utf8"));
  const { violations: found } = await page.evaluate(() => window.axe.run());
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
}

for (const path of VIEWS) {
  for (const look of LOOKS) {
    test(`${path} at ${look.width} px, ${look.colorScheme}`, async () => {
      const { page, errors } = await open(path, look);
      if (screenshots) {
        const name = `${path.slice(1).replaceAll("/", "-")}-${look.width}-${look.colorScheme}.png`;
        await page.screenshot({ path: `${screenshots}/${name}`, fullPage: true });
      }
      assert.deepEqual(await violations(page), []);
      assert.deepEqual(errors, []);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(overflow <= 0, `${overflow} px wider than the window`);
      await page.close();
    });
  }
}

test("why execution 2193 timed out stands first, and leads to its spans", async () => {
  const { page } = await open("/executions/2193");
  assert.match(await page.textContent(".cause"), /NETWORK_TIMEOUT.*router -> runner.*156\.3 s of 238\.9 s/s);
  const order = await page.evaluate(() => {
    const cause = document.querySelector(".cause");
    return cause.compareDocumentPosition(document.querySelector(".waterfall")) & Node.DOCUMENT_POSITION_FOLLOWING;
  });
  assert.ok(order, "the cause stands before the waterfall");
  await page.click(".cause .span-links button");
  assert.equal(await page.textContent("#span-title"), "router.inference_request");
  assert.match(page.url(), /span=[0-9a-f]{16}$/);
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  await page.waitForSelector("#span-title", { state: "detached" });
  assert.match(await page.textContent(".row.gap"), /gap router → runner/);
  await page.close();
});

for (const width of [1280, 400]) {
  test(`no label lies on a bar, and the spans of the root cause are marked, at ${width} px`, async () => {
    const { page } = await open("/executions/2193", { width });
    const covered = () => page.$$eval(".time-cell", (cells) =>
      cells.flatMap((cell) => {
        const [bar, label] = [".bar-span, .gap-bar", ".bar-label"].map((part) => cell.querySelector(part)?.getBoundingClientRect());
        return bar && label && label.left < bar.right && bar.left < label.right ? [cell.textContent] : [];
      }),
    );
    assert.deepEqual(await covered(), []);
    await page.waitForSelector(".row.suspect");
    assert.deepEqual(await page.locator(".row.suspect .operation").allTextContents(), ["runner.hybrid_router_call", "router.inference_request"]);
    assert.match(await page.textContent(".legend"), /root cause/);
    await page.locator("[aria-label='Zoom in']").click();
    assert.deepEqual(await covered(), []);
    await page.close();
  });
}

test("the waterfall is moved through by keys", async () => {
  const { page } = await open("/executions/2193");
  await page.focus("[role=treegrid]");
  const active = () => page.textContent(".row.active .operation");
  for (let i = 0; i < 2; i += 1) await page.keyboard.press("ArrowDown");
  assert.equal(await active(), "router.inference_request");
  const rows = await page.locator(".row.span").count();
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction((before) => document.querySelectorAll(".row.span").length < before, rows);
  await page.keyboard.press("ArrowLeft");
  assert.equal(await active(), "runner.hybrid_router_call");
  await page.keyboard.press("+");
  assert.equal(await page.isDisabled("button[title='All of it (0)']"), false);
  await page.keyboard.press("0");
  assert.equal(await page.isDisabled("button[title='All of it (0)']"), true);
  await page.keyboard.press("Enter");
  assert.equal(await page.textContent("#span-title"), "runner.hybrid_router_call");
  await page.close();
});

test("the search of the waterfall finds and unfolds", async () => {
  const { page } = await open("/executions/2193");
  await page.keyboard.press("/");
  await page.keyboard.type("modal.inf");
  await page.keyboard.press("Enter");
  assert.equal(await page.textContent(".tools [role=status]"), "1 hit");
  assert.equal(await page.textContent(".row.active .operation"), "modal.inference");
  await page.close();
});

test("the time axis is zoomed and moved by wheel, by dragging on it, and by dragging the rows", async () => {
  const { page } = await open("/executions/2193");
  const width = () => page.evaluate(() => document.querySelector(".row.span .bar-span").getBoundingClientRect().width);
  const all = page.locator("button[title='All of it (0)']");
  const axis = await page.locator(".axis").boundingBox();
  const row = await page.locator(".row.span .time-cell").nth(4).boundingBox();
  const before = await width();
  await page.mouse.move(axis.x + axis.width / 4, row.y + 8);
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, -100);
  await page.keyboard.up("Control");
  await page.waitForFunction(() => !document.querySelector("button[title='All of it (0)']").disabled);
  await all.click();
  const drag = async (y, from, to) => {
    await page.mouse.move(axis.x + axis.width * from, y);
    await page.mouse.down();
    await page.mouse.move(axis.x + axis.width * to, y, { steps: 5 });
    await page.mouse.up();
  };
  const firstTick = () => page.textContent(".tick");
  await drag(axis.y + 10, 0.5, 0.75);
  await page.waitForFunction(() => !document.querySelector("button[title='All of it (0)']").disabled);
  const marked = await firstTick();
  await drag(row.y + 8, 0.2, 0.8);
  await page.waitForFunction((old) => document.querySelector(".tick").textContent !== old, marked);
  assert.equal(await page.locator("#span-title").count(), 0, "a drag is no click");
  await all.click();
  assert.equal(await width(), before);
  await page.close();
});

test("ten thousand spans: few rows exist, frames stay short, texts stay texts, drops are said", async (t) => {
  const { page, errors } = await openOther(largeTrace());
  assert.match(await page.textContent(".warning"), /1,234 spans were dropped.*\(ring_full 1234\)/s);
  const frames = await page.evaluate(
    () =>
      new Promise((done) => {
        const grid = document.querySelector("[role=treegrid]");
        const times = [];
        let last = performance.now();
        const frame = (now) => {
          times.push(now - last);
          last = now;
          grid.scrollTop += 120;
          if (times.length < 200) requestAnimationFrame(frame);
          else done(times.slice(1).sort((a, b) => a - b));
        };
        requestAnimationFrame(frame);
      }),
  );
  const at = (share) => frames[Math.floor(frames.length * share)];
  t.diagnostic(`frame times while scrolling, ms: median ${at(0.5).toFixed(1)}, p95 ${at(0.95).toFixed(1)}, longest ${at(0.999).toFixed(1)}`);
  assert.ok(at(0.5) < 25, `a median frame of ${at(0.5)} ms`);
  assert.ok((await page.locator(".row").count()) < 100);
  assert.equal(await page.getAttribute("[role=treegrid]", "aria-rowcount"), "10001");

  await page.keyboard.press("/");
  await page.keyboard.type("onerror");
  await page.keyboard.press("Enter");
  await page.focus("[role=treegrid]");
  await page.keyboard.press("Enter");
  assert.equal(await page.textContent("#span-title"), "<img src=x onerror=alert(1)>");
  assert.equal(await page.locator("main img").count(), 0);
  assert.deepEqual(await violations(page), []);

  const strip = await page.locator(".overview").boundingBox();
  await page.mouse.move(strip.x + strip.width * 0.25, strip.y + 20);
  await page.mouse.down();
  await page.mouse.move(strip.x + strip.width * 0.5, strip.y + 20, { steps: 4 });
  await page.mouse.up();
  await page.waitForFunction(() => !document.querySelector("button[title='All of it (0)']").disabled);

  await page.click("text=Skew-adjusted");
  assert.match(page.url(), /times=adjusted/);
  await page.click("text=Fold");
  await page.waitForFunction(() => document.querySelector("[role=treegrid]").getAttribute("aria-rowcount") === "101");
  assert.deepEqual(errors, []);
  await page.close();
});

// In per cent of the time axis, from left to right, as [from, to].
function places(page, selector) {
  return page.$$eval(selector, (parts) =>
    parts
      .map((part) => {
        const cell = part.parentElement.getBoundingClientRect();
        const { left, right } = part.getBoundingClientRect();
        return [left, right].map((x) => Math.round((100 * (x - cell.left)) / cell.width));
      })
      .sort((a, b) => a[0] - b[0]),
  );
}

for (const look of LOOKS) {
  test(`gaps and the critical path are adjusted with the spans, at ${look.width} px, ${look.colorScheme}`, async () => {
    const { page, errors } = await openOther(skewedTrace(), look);
    // The axis is 120 s long.
    assert.deepEqual(await places(page, ".row.span .bar-span"), [[0, 83], [50, 100]]);
    assert.deepEqual(await places(page, ".gap-bar"), [[0, 50]]);
    assert.deepEqual(await places(page, ".path-part"), [[0, 50], [50, 83]]);
    await page.click("text=Skew-adjusted");
    await page.waitForFunction(() => document.querySelectorAll(".gap-bar").length === 2);
    // Now 100 s.
    assert.deepEqual(await places(page, ".row.span .bar-span"), [[0, 100], [20, 80]]);
    assert.deepEqual(await places(page, ".gap-bar"), [[0, 20], [80, 100]]);
    assert.deepEqual(await places(page, ".path-part"), [[0, 20], [20, 80], [80, 100]]);
    assert.deepEqual(await page.locator(".row.gap .operation").allTextContents(), ["gap caller → callee", "gap callee → caller"]);
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(errors, []);
    await page.close();
  });
}

test("a trace is opened by its id, in any form, and leads to its execution and back", async () => {
  const { page, errors } = await open("/executions");
  const uuid = traceId.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  for (const id of [traceId, uuid, ` ${uuid.toUpperCase()} `]) {
    await page.fill(".jump input", id);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".row.span");
    assert.match(page.url(), new RegExp(`/traces/${id.trim()}$`));
    assert.match(await page.textContent("h1"), new RegExp(`Trace ${traceId}`));
    assert.equal(await page.locator(".cause").count(), 0);
  }
  await page.click(".row.span >> nth=1");
  assert.equal(await page.textContent("#span-title"), "runner.hybrid_router_call");
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  await page.click(".facts >> text=2193");
  await page.waitForSelector(".cause");
  await page.click(`.facts >> text=${traceId}`);
  await page.waitForFunction(() => document.title.startsWith("Trace "));
  await page.fill(".jump input", "2193");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".cause");
  assert.deepEqual(errors, []);
  await page.close();
});

test("a trace without an execution has none to lead to", async () => {
  const { page } = await open("/operations");
  const trace = { ...skewedTrace(), execution_id: null, common: { trace_id: "00000000-0000-0000-0000-000000000001" } };
  await page.route("**/api/v1/traces/*", (route) => route.fulfill({ json: trace }));
  await page.goto(`${server.url}/traces/${"1".padStart(32, "0")}`);
  await page.waitForSelector(".row.span");
  assert.match(await page.textContent(".facts"), /executionnone/);
  assert.equal(await page.locator(".facts a").count(), 0);
  await page.close();
});

for (const look of LOOKS) {
  test(`a trace that is not there is told, at ${look.width} px, ${look.colorScheme}`, async () => {
    const { page } = await open(`/traces/${"9".repeat(32)}`, look);
    assert.match(await page.textContent("[role=alert]"), /No span of this trace is stored here/);
    assert.deepEqual(await violations(page), []);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(overflow <= 0, `${overflow} px wider than the window`);
    await page.close();
  });
}

test("an id that is none is told", async () => {
  const { page } = await open("/traces/nonsense");
  assert.match(await page.textContent("[role=alert]"), /a trace id is a UUID/);
  await page.close();
});

test("calls between services tell their network time and lead to their spans", async () => {
  const { page, errors } = await open("/executions/2193");
  const table = page.locator("section[aria-labelledby=network-title]");
  const call = table.locator("tbody tr", { hasText: "router.inference_request" }).first();
  assert.match(await call.textContent(), /156\.3 s/);
  await call.locator("td button").first().click();
  assert.equal(await page.textContent("#span-title"), "router.inference_request");
  await call.locator("th button").click();
  assert.equal(await page.textContent("#span-title"), "runner.hybrid_router_call");
  assert.deepEqual(errors, []);
  await page.close();
});

test("without calls between services there is no table of them, with many not all", async () => {
  const { page } = await open("/operations");
  const { calls: [call] } = await (await fetch(`${server.url}/api/v1/executions/2193/network`)).json();
  let calls = [];
  await page.route("**/api/v1/executions/2193/network", (route) => route.fulfill({ json: { execution_id: 2193, calls } }));
  await page.goto(`${server.url}/executions/2193`);
  await page.waitForLoadState("networkidle");
  assert.equal(await page.locator("#network-title").count(), 0);
  calls = Array.from({ length: 50 }, (_, at) => ({ ...call, client_row: at, network_ns: at * 1e9 }));
  await page.reload();
  await page.waitForSelector("#network-title");
  const rows = page.locator("section[aria-labelledby=network-title] tbody tr");
  assert.equal(await rows.count(), 20);
  assert.match(await rows.first().textContent(), /49\.0 s/);
  await page.click("text=Show more of 50 calls");
  assert.equal(await rows.count(), 50);
  await page.close();
});

test("the list asks again every 5 s, and not while it is paused", async () => {
  const { page } = await open("/executions");
  let asked = 0;
  page.on("request", (request) => {
    if (request.url().includes("/api/v1/executions")) asked += 1;
  });
  await page.waitForTimeout(5500);
  assert.equal(asked, 1, "and not for causes that it has");
  await page.click("text=Live, every 5 s");
  await page.waitForTimeout(5500);
  assert.equal(asked, 1);
  await page.close();
});

for (const width of [1280, 400]) {
  test(`the list says why each failed, and leads there from anywhere in a row, at ${width} px`, async () => {
    const { page, errors } = await open("/executions", { width });
    const row = page.locator("tbody tr", { has: page.locator("th >> text=2193") });
    await page.waitForSelector(".why a");
    assert.equal(await row.locator(".why a").textContent(), "NETWORK_TIMEOUT in router → runner");
    assert.equal(await row.locator(".why a").getAttribute("href"), "/executions/2193");
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(overflow <= 0, `${overflow} px wider than the window`);
    const cut = await page.evaluate(() => {
      const box = document.querySelector(".table-box");
      return box.scrollWidth - box.clientWidth;
    });
    assert.ok(cut <= 0, `${cut} px of the table are out of sight`);
    assert.ok(await row.locator(".why").evaluate((cell) => cell.scrollWidth <= cell.clientWidth + 1), "a cause is cut");
    const completed = page.locator("tbody tr", { has: page.locator("th >> text=2195") });
    assert.equal(await completed.locator(".why").textContent(), "–");
    await row.locator(".time").click();
    await page.waitForSelector(".waterfall");
    assert.match(page.url(), /\/executions\/2193$/);
    assert.deepEqual(errors, []);
    await page.close();
  });
}

test("arrows move through the list from wherever nothing is focused", async () => {
  const { page } = await open("/executions");
  const focused = () => page.evaluate(() => document.activeElement.closest("tr")?.rowIndex);
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(), 1);
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(), 2);
  await page.keyboard.press("ArrowUp");
  assert.equal(await focused(), 1);
  await page.keyboard.press("Enter");
  await page.waitForSelector(".waterfall");
  await page.close();
});

test("failed only is one click, stands in the address, and can be undone", async () => {
  const { page } = await open("/executions");
  await page.click("text=Failed only");
  await page.waitForFunction(() => [...document.querySelectorAll("tbody tr")].every((row) => row.classList.contains("bad")));
  assert.match(page.url(), /status=failed%2Ctimeout/);
  await page.goBack();
  await page.waitForFunction(() => document.querySelector("tbody tr:not(.bad)") !== null);
  await page.close();
});

test("failed first puts those on top, and stands in the address", async () => {
  const { page } = await open("/executions");
  const bad = () => page.$$eval("tbody tr", (rows) => rows.map((row) => row.classList.contains("bad")));
  assert.ok(!(await bad())[0], "the newest one went well");
  await page.click("text=Failed first");
  await page.waitForSelector("tbody tr:first-child.bad");
  assert.match(page.url(), /order=failed/);
  const order = await bad();
  const count = order.filter(Boolean).length;
  assert.ok(count > 1);
  assert.deepEqual(order, order.map((_, row) => row < count));
  await page.click("text=Failed first");
  await page.waitForSelector("tbody tr:first-child:not(.bad)");
  await page.close();
});

test("older pages hold other executions", async () => {
  const { page } = await open("/executions?min_duration_ms=1");
  const first = await page.textContent("tbody th");
  if (await page.locator("text=Older").count()) {
    await page.click("text=Older");
    await page.waitForFunction((before) => document.querySelector("tbody th")?.textContent !== before, first);
    assert.match(page.url(), /before_id=/);
  }
  await page.close();
});

test("what the API refuses is said in its words", async () => {
  const { page } = await open("/executions?from=nonsense");
  assert.match(await page.textContent("[role=alert]"), /invalid input syntax for type timestamp/);
  await page.goto(`${server.url}/executions/99`);
  assert.match(await page.textContent("[role=alert]"), /no spans of execution 99/);
  await page.close();
});

for (const { path, says, again } of [
  { path: "/executions/9999", says: /no spans of execution 9999/, again: 1 },
  { path: "/executions/abc", says: /whole number/, again: 0 },
]) {
  test(`${path} is refused once, claims no cause, and leads onwards`, async () => {
    const { page } = await open(path);
    assert.equal(await page.locator("[role=alert]").count(), 1);
    assert.match(await page.textContent("[role=alert]"), says);
    assert.equal(await page.locator("[role=alert] button").count(), again);
    assert.equal(await page.locator(".cause").count(), 0);
    assert.deepEqual(await violations(page), []);
    await page.click("[role=alert] a");
    await page.waitForSelector("tbody tr");
    await page.close();
  });
}

for (const width of [1280, 400]) {
  test(`the HTML export is readable at ${width} px`, async () => {
    const file = join(mkdtempSync(join(tmpdir(), "spanring-export-")), "2193.html");
    execFileSync(program, ["export", "2193", "-d", "spanring_demo", "--format", "html", "-o", file]);
    const page = await browser.newPage({ viewport: { width, height: 900 } });
    await page.goto(`file://${file}`);
    if (screenshots) await page.screenshot({ path: `${screenshots}/export-${width}.png`, fullPage: true });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(overflow <= 0, `${overflow} px wider than the window`);
    const lines = await page.$$eval("td", (cells) => cells.map((cell) => cell.getClientRects()[0].width / cell.textContent.length));
    assert.ok(Math.min(...lines) > 2, "a cell is a column of single letters");
    const ends = await page.$$eval(".axis b", (labels) => labels.map((label) => label.getBoundingClientRect()).filter(({ width }) => width > 0).map(({ left, right }) => [left, right]));
    assert.ok(ends.length >= 3);
    ends.slice(1).forEach(([left], at) => assert.ok(left > ends[at][1], "labels of the axis lie on each other"));
    await page.close();
    rmSync(dirname(file), { recursive: true });
  });
}

test("an execution is opened as people write it", async () => {
  const { page } = await open("/health");
  await page.fill(".jump input", "#2193");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".waterfall");
  assert.match(await page.textContent("h1"), /^Execution 2193/);
  await page.goto(`${server.url}/executions/%232193`);
  await page.waitForSelector("[role=alert]");
  assert.match(await page.textContent("h1"), /^Execution #2193/);
  await page.close();
});

test("nothing is compared with an execution that is not there", async () => {
  const { page } = await open("/executions/2193/compare/9999");
  assert.match(await page.textContent("main"), /nothing to compare: no span of 9999 is stored/);
  assert.equal(await page.locator("[role=table], table").count(), 0);
  await page.close();
});

test("an address of no view leads onwards", async () => {
  const { page } = await open("/nowhere");
  await page.click("main a >> text=Executions");
  await page.waitForSelector("tbody tr");
  await page.close();
});

test("while the database is away that is said once, and the page comes back by itself", async () => {
  const { page } = await open("/operations");
  const raw = 'connection to server on socket "/somewhere/.s.PGSQL.5432" failed: No such file or directory';
  let isAway = true;
  await page.route("**/api/v1/**", (route) =>
    isAway ? route.fulfill({ status: 503, json: { error: { status: 503, message: raw } } }) : route.continue(),
  );
  await page.goto(`${server.url}/executions/2193`);
  await page.waitForSelector("[role=alert]");
  assert.equal(await page.locator("[role=alert]").count(), 1);
  assert.match(await page.innerText("[role=alert]"), /database cannot be reached.*running.*tries again by itself/s);
  assert.doesNotMatch(await page.innerText("[role=alert]"), /socket/);
  assert.deepEqual(await violations(page), []);
  isAway = false;
  await page.waitForSelector(".waterfall", { timeout: 15_000 });
  await page.waitForSelector("[role=alert]", { state: "detached" });
  await page.close();
});

test("a 503 that says what to do says it", async () => {
  const { page } = await open("/operations");
  const message = "the tracing schema is missing or too old in this database: run spanring migrate (x)";
  await page.route("**/api/v1/**", (route) => route.fulfill({ status: 503, json: { error: { status: 503, message } } }));
  await page.goto(`${server.url}/executions`);
  assert.match(await page.textContent("[role=alert]"), /run spanring migrate/);
  await page.close();
});

test("back leads to the row and the place that were left", async () => {
  const { page } = await open("/executions");
  await page.setViewportSize({ width: 1280, height: 400 });
  const link = page.locator("tbody th a", { hasText: "2165" });
  await link.scrollIntoViewIfNeeded();
  const before = await page.evaluate(() => window.scrollY);
  assert.ok(before > 0);
  await link.click();
  await page.waitForSelector(".waterfall");
  assert.equal(await page.evaluate(() => window.scrollY), 0);
  await page.goBack();
  await page.waitForFunction(() => document.activeElement.textContent === "2165");
  assert.equal(await page.evaluate(() => window.scrollY), before);
  await page.close();
});

test("advice leads to similar executions, and not to SQL", async () => {
  const { page } = await open("/executions/2158");
  assert.doesNotMatch(await page.textContent("main"), /find_similar_traces/);
  await page.click(".advice >> text=similar executions");
  assert.match(page.url(), /\/executions\/2158#similar-title$/);
  await page.close();
});

for (const width of [1280, 400]) {
  test(`the plot fills its card, its text keeps its size, and its ring is explained, at ${width} px`, async () => {
    const { page } = await open("/operations", { width });
    const plot = await page.evaluate(() => {
      const svg = document.querySelector(".plot svg");
      const { width } = svg.getBoundingClientRect();
      return { scale: width / svg.viewBox.baseVal.width, share: width / document.querySelector(".plot").clientWidth };
    });
    assert.ok(Math.abs(plot.scale - 1) < 0.02, `a scale of ${plot.scale}`);
    assert.ok(plot.share > 0.85, `${plot.share} of the card`);
    assert.ok((await page.locator(".plot .dot.p50").count()) > 0, "the median is drawn");
    assert.equal((await page.locator(".plot .dot.bad").count()) > 0, (await page.locator(".key.dot-bad").count()) > 0);
    await page.close();
  });
}

test("rows that nobody has counted are unknown, and not none", async () => {
  const { page } = await open("/operations");
  await page.route("**/api/v1/health", async (route) => {
    const response = await route.fetch();
    const answer = await response.json();
    answer.partitions.splice(2);
    answer.partitions[0].estimated_rows = 0;
    answer.partitions[1].estimated_rows = 1234;
    await route.fulfill({ json: answer });
  });
  await page.goto(`${server.url}/health`);
  await page.waitForSelector("td[data-label='Rows, estimated']");
  assert.deepEqual(await page.locator("td[data-label='Rows, estimated']").allTextContents(), ["unknown", "1,234"]);
  await page.close();
});

test("help opens by its key and closes", async () => {
  const { page } = await open("/executions");
  await page.keyboard.press("?");
  await page.waitForSelector("dialog[open]");
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog", { state: "detached" });
  await page.close();
});

test("with a token the page loads, asks for it, and keeps it for the tab", async () => {
  const guarded = await serve(program, { SPANRING_SERVE_TOKEN: TOKEN });
  try {
    const { page } = await open("/executions/2193", { url: guarded.url });
    await page.waitForSelector("input[type=password]");
    assert.deepEqual(await violations(page), []);
    await page.fill("input[type=password]", "a wrong one, of some length");
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=That token was refused");
    await page.fill("input[type=password]", TOKEN);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".cause");
    await page.reload();
    await page.waitForSelector(".cause");
    assert.equal((await fetch(`${guarded.url}/api/v1/health`)).status, 401);
    assert.equal((await fetch(`${guarded.url}/metrics`)).status, 401);
    await page.close();
  } finally {
    guarded.stop();
  }
});

test("assets are kept for ever, the page is not, and nothing else is there", async () => {
  const index = await fetch(`${server.url}/executions/2193`);
  assert.equal(index.headers.get("cache-control"), "no-cache");
  const script = (await index.text()).match(/\/assets\/page\.[0-9a-f]+\.js/)[0];
  const asset = await fetch(server.url + script);
  assert.equal(asset.headers.get("cache-control"), "public, max-age=31536000, immutable");
  assert.equal(asset.headers.get("content-type"), "text/javascript; charset=utf-8");
  for (const path of ["/assets/", "/assets", "/assets/page.js", "/index.html", "/..%2fetc/passwd"]) {
    assert.equal((await fetch(server.url + path)).status, 404, path);
  }
  assert.equal((await fetch(`${server.url}/api/nothing`)).status, 404);
});
