// What somebody sees who opens the console and works with it, each check by what stands on the page.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { once } from "node:events";

const { HEADWATER, WORK, BROWSER, APPLICATION, MODULES } = process.env;
const puppeteer = createRequire(MODULES + "/")("puppeteer-core");
const PATIENCE = 30_000;

// --- the program ---

let program, address;

async function start(http) {
  program = spawn(HEADWATER, ["run", APPLICATION, "--data", WORK + "/data", "--kafka", "none", "--postgres", "none", "--http", http], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  for await (const piece of program.stdout) {
    said += piece;
    if (/^ready/m.test(said)) break;
  }
  address = /^http (\S+)/m.exec(said)?.[1];
  if (!address) throw new Error("the program did not start: " + said);
}

async function stop() {
  const ended = once(program, "exit");
  program.kill("SIGTERM");
  await ended;
}

async function post(path, body) {
  const answer = await fetch(`http://${address}${path}`, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  if (!answer.ok) throw new Error(await answer.text());
}

const call = (command, parameters) => post(`/commands/${command}`, parameters);

// --- the page ---

const text = (page, selector) => page.$eval(selector, element => element.textContent);
const until = (page, what, ...given) => page.waitForFunction(what, { timeout: PATIENCE }, ...given);
const shows = (page, selector, part) => until(page, (selector, part) => document.querySelector(selector)?.textContent.includes(part), selector, part);
const choose = (page, place, name) => page.$$eval(`#${place} .item`, (items, name) => items.find(item => item.querySelector("b").textContent === name).click(), name);

async function ask(page, sql) {
  await page.$eval("#sql", (area, sql) => { area.value = sql; area.focus() }, sql);
  await page.keyboard.down("Control");
  await page.keyboard.press("Enter");
  await page.keyboard.up("Control");
}

async function cells(page) {
  return page.$$eval("#answer tr", rows => rows.map(row => [...row.children].map(cell => cell.firstChild?.textContent ?? "")));
}

function same(found, expected) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${a} where ${b} is due`);
}

const checks = {
  async "what there is, and that it is ready"(page) {
    await shows(page, "#state", "ready");
    await shows(page, "#streams", "transactions");
    await shows(page, "#views", "balances");
    await shows(page, "#commands", "withdraw");
    await shows(page, "#answer", "balances");
    // deposit, transfer and withdraw into transactions, and these into balances.
    same(await page.$$eval("#flow .node title", titles => titles.map(title => title.textContent)),
      ["command deposit", "command transfer", "command withdraw", "stream transactions", "view balances"]);
    same(await page.$$eval("#flow path", lines => lines.length), 4);
  },
  async "an event is seen as soon as it is there, and its view with it"(page) {
    await choose(page, "streams", "transactions");
    await call("deposit", { account: "Zoë <b>", amount: "20.10", teller: "T1" });
    await shows(page, "#events", "20.10");
    same(await page.$eval("#events div span:nth-child(2)", key => key.textContent), "Zoë <b>");
    await until(page, () => document.querySelector("#streams .number").textContent === "1");
    await choose(page, "views", "balances");
    await shows(page, "#answer", "Zoë");
    const [names, row] = await cells(page);
    same([names.slice(0, 3), row.slice(0, 3)], [["account", "balance", "entries"], ["Zoë <b>", "20.10", "1"]]);
    await shows(page, "#about-text", "GROUP BY account");
  },
  async "numbers keep their digits"(page) {
    await ask(page, "SELECT 9007199254740993 AS a, 1.10 AS b, NULL AS c, 'x' AS d");
    await shows(page, "#said", "1 row(s)");
    same(await cells(page), [["a", "b", "c", "d"], ["9007199254740993", "1.10", "null", "x"]]);
  },
  async "a tombstone is called one"(page) {
    await post("/sql", { sql: "CREATE STREAM notes (id TEXT NOT NULL, text TEXT) KEY (id)" });
    await shows(page, "#streams", "notes");
    await choose(page, "streams", "notes");
    await post("/events", { events: [{ stream: "notes", key: "n1", tombstone: true, headers: [{ name: "why", value: "moved" }] }] });
    await shows(page, "#events", "n1");
    same(await page.$eval("#events div span:nth-child(3)", value => value.textContent), "tombstone");
  },
  async "a fault is told with its place"(page) {
    await ask(page, "SELECT 1,\n  nosuch FROM balances");
    await shows(page, "#said", "line 2, column 3");
    await shows(page, "#said", "nosuch");
    same(await page.$eval("#said", said => said.classList.contains("warn")), true);
  },
  async "nothing runs out of the page, wide or narrow"(page) {
    for (const width of [1300, 800, 390]) {
      await page.setViewport({ width, height: 900 });
      await ask(page, "SHOW VIEWS");
      await shows(page, "#said", "row(s)");
      same([width, await page.evaluate(() => document.documentElement.scrollWidth)], [width, width]);
    }
    await page.setViewport({ width: 1300, height: 900 });
  },
  async "a restart is seen, and lived through"(page) {
    await choose(page, "streams", "transactions");
    await shows(page, "#events", "20.10");
    const before = address;
    await stop();
    await until(page, () => document.querySelector("#state").className === "down");
    await start(before);
    await shows(page, "#state", "ready");
    await call("deposit", { account: "Ann", amount: 7, teller: null });
    await shows(page, "#events", "Ann");
    await shows(page, "#tail-said", "GET /streams/transactions/events");
  },
};

// --- all of it ---

await start("127.0.0.1:0");
const browser = await puppeteer.launch({ executablePath: BROWSER, headless: true, userDataDir: WORK + "/browser", args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
let failed = 0;
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1300, height: 900 });
  // While the program is away the browser says so for each request: that is no fault of the page.
  const faults = [];
  page.on("pageerror", error => faults.push(String(error)));
  page.on("console", line => { if (line.type() === "error" && !/Failed to load resource|ERR_CONNECTION/.test(line.text())) faults.push(line.text()) });
  await page.goto(`http://${address}/`);
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check(page);
      console.log("ok console: " + name);
    } catch (error) {
      failed += 1;
      console.log(`FAILED console: ${name}: ${error.message}\n  the page says: ${await text(page, "#said")}; ${await text(page, "#state")}`);
    }
  }
  if (faults.length) { failed += 1; console.log("FAILED console: the page's own errors: " + faults.join("; ")) }
  if (process.argv[2]) await page.screenshot({ path: process.argv[2] });
} finally {
  await browser.close();
  await stop();
}
process.exit(failed ? 1 : 0);
