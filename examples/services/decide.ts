// The same service as decide.py, in TypeScript: an account is never overdrawn, however many of these run at once.
//
//     node decide.ts http://127.0.0.1:8090 ACCOUNT AMOUNT
//
// Money is counted in cents: a number of JavaScript is no decimal.

declare const process: { argv: string[] };

interface Entry {
  kind: string;
  /** Others may have written it as a text. */
  amount: number | string;
}

interface Page {
  events: { value: Entry }[];
  next: string | null;
  detail?: string;
}

/** The events of one key in order, and their version. */
async function entity(server: string, stream: string, key: string): Promise<{ events: Entry[]; version: string }> {
  const events: Entry[] = [];
  let version = "";
  let next: string | null = `${server}/streams/${stream}/entities/${encodeURIComponent(key)}`;
  while (next !== null) {
    const answer: Response = await fetch(next);
    const page = (await answer.json()) as Page;
    if (!answer.ok) throw new Error(page.detail);
    events.push(...page.events.map((event) => event.value));
    // The version of the last page: whatever came after it will be in the way.
    version = answer.headers.get("etag") ?? "";
    next = page.next === null ? null : new URL(page.next, server).href;
  }
  return { events, version };
}

const cents = (amount: number | string): number => Math.round(Number(amount) * 100);

function balance(events: Entry[]): number {
  return events.reduce((sum, event) => sum + (event.kind === "deposit" ? cents(event.amount) : -cents(event.amount)), 0);
}

/** What is left in cents, or null where there is not enough. */
async function withdraw(server: string, account: string, amount: number): Promise<number | null> {
  for (;;) {
    const { events, version } = await entity(server, "accounts", account);
    const left = balance(events) - cents(amount);
    if (left < 0) return null;
    const answer = await fetch(`${server}/streams/accounts/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "If-Match": version },
      body: JSON.stringify({ account, kind: "withdrawal", amount }),
    });
    if (answer.ok) return left;
    // 412: somebody came in between. Read again, decide again.
    if (answer.status !== 412) throw new Error(((await answer.json()) as Page).detail);
  }
}

const [server, account, amount] = process.argv.slice(2);
const left = await withdraw(server, account, Number(amount));
console.log(left === null ? "refused" : `withdrawn, ${(left / 100).toFixed(2)} left`);

export {};
