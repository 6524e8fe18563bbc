// The live part of the dashboard: numbers every two seconds, charts as often as there are new samples.
const at = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
let paused = false;

export const number = (value, digits = 3) =>
  value === null || value === undefined ? "–" : Number(value.toPrecision(digits)).toLocaleString("en");
export const percent = (value) =>
  value === null || value === undefined ? "–" : `${(value * 100).toFixed(value > 0 && value < 0.1 ? 2 : 1)} %`;
export const duration = (seconds) => {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1e-3) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${number(seconds * 1e3)} ms`;
  if (seconds < 120) return `${number(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${number(seconds / 3600)} h` : `${number(seconds / 86400)} d`;
};
export const bytes = (size) => {
  if (size === null || size === undefined) return "–";
  for (const [unit, factor] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]])
    if (size >= factor) return `${number(size / factor)} ${unit}`;
  return `${size} B`;
};

export async function ask(path, options) {
  const response = await fetch(path, { ...options, signal: AbortSignal.timeout(options?.patience ?? 10_000) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `${response.status}`);
  return answer;
}

// Text only, never markup: keys, tags and names come from outside.
export function row(cells) {
  const tr = document.createElement("tr");
  for (const cell of cells) {
    const td = document.createElement("td");
    if (cell instanceof Node) td.append(cell);
    else if (Array.isArray(cell)) {
      td.className = cell[1];
      td.append(cell[0]);
    } else td.textContent = cell;
    tr.append(td);
  }
  return tr;
}

export function fill(id, rows, columns, nothing) {
  if (rows.length) at(id).replaceChildren(...rows);
  else {
    const empty = row([[nothing, "quiet"]]);
    empty.firstChild.colSpan = columns;
    at(id).replaceChildren(empty);
  }
}

function show(id, text, bad) {
  const element = at(id);
  if (element.textContent !== text) element.textContent = text;
  element.classList.toggle("bad", bad === "critical");
  element.classList.toggle("warn", bad === "warning");
}

function item(text, severity) {
  const li = document.createElement("li");
  if (severity) li.className = severity;
  li.textContent = text;
  return li;
}

function showOverview(now, raised) {
  const severity = (name) => raised.find((alert) => alert.name === name)?.severity;
  document.title = `${raised.length ? `(${raised.length}) ` : ""}${now.name}`;
  at("name").textContent = now.name;
  at("state").textContent = now.ready ? "ready" : "not ready";
  at("state").className = `state ${now.ready ? "ready" : "warming"}`;
  at("about").textContent = `${now.profile ? `profile ${now.profile}, ` : ""}version ${now.version}, up for ${duration(now.uptime)}`;
  show("throughput", number(now.throughput), severity("throughput"));
  show("p95", now.timing.count ? duration(now.timing.p95) : "–", severity("response_time"));
  at("p50p99").textContent = now.timing.count ? `p50 ${duration(now.timing.p50)}, p99 ${duration(now.timing.p99)}` : "";
  show("hit_rate", percent(now.hit_rate), severity("hit_rate"));
  show("error_rate", percent(now.error_rate), severity("error_rate"));
  show("memory", bytes(now.process.memory), severity("memory"));
  show("cpu", percent(now.process.cpu), severity("cpu"));
  show("lag", duration(now.process.lag), severity("lag"));
  show("alert_count", String(now.alerts), raised[0]?.severity);
  fill("tier_rows", Object.entries(now.tiers).map(([name, tier]) => {
    const meter = document.createElement("meter");
    meter.max = tier.limit || 1;
    meter.value = tier.size;
    meter.high = tier.limit * 0.9;
    meter.title = `${bytes(tier.size)} of ${bytes(tier.limit)}`;
    return row([name, [percent(tier.hit_rate), "number"], [tier.entries.toLocaleString("en"), "number"],
      [bytes(tier.size), "number"], meter, [tier.evictions.toLocaleString("en"), "number"]]);
  }), 6, "No tier is in use: every request goes to an upstream.");
  fill("upstream_rows", Object.entries(now.upstreams).map(([name, one]) => row([
    name, [duration(one.p95), "number"], [String(one.asked), "number"], [String(one.failed), one.failed ? "number warn" : "number"],
    [String(one.retried), "number"], [String(one.under_way), "number"], [String(one.queued + one.throttled), "number"],
    one.breaker_open ? ["open", "bad"] : "closed"])), 8, "The profile has no upstream.");
}

function showAlerts(answer) {
  const raised = answer.alerts.map((alert) => item(alert.text, alert.severity));
  const quiet = document.createElement("li");
  quiet.textContent = "Nothing is raised.";
  const before = at("raised").textContent;
  const list = raised.length ? raised : [quiet];
  if (before !== list.map((li) => li.textContent).join("")) at("raised").replaceChildren(...list);
  at("changes").replaceChildren(...answer.changes.map((change) =>
    item(`${new Date(change.at * 1000).toLocaleTimeString()} ${change.event}: ${change.text}`, change.severity)));
}

function showTools(answer) {
  fill("tool_rows", answer.tools.map((tool) => row([
    tool.name, tool.strategy || ["not cached", "quiet"], [tool.calls.toLocaleString("en"), "number"],
    [percent(tool.hit_rate), "number"], [duration(tool.hit), "number"], [duration(tool.miss), "number"],
    [duration(tool.seconds), "number"], [String(tool.refused), "number"],
    [String(tool.failed), tool.failed ? "number warn" : "number"]])), 9, "No tool was called yet.");
}

function showScaling(answer) {
  at("scaling").hidden = !answer.enabled;
  if (!answer.enabled) return;
  const amount = (value, unit) => unit === "bytes" ? bytes(value) : String(value);
  at("scaling_budget").textContent = `up to ${bytes(answer.budget)} of resident memory (${answer.budget_key})`;
  fill("scaling_rows", answer.limits.map((limit) => row([limit.key,
    ...["value", "start", "least", "most"].map((name) => [amount(limit[name], limit.unit), "number"]),
    [percent(limit.load), "number"], [limit.refusal || limit.evidence, "quiet"]])), 7, "Nothing is scaled.");
  at("scaling_steps").replaceChildren(...answer.steps.slice(0, 10).map((step) => item(
    `${new Date(step.at * 1000).toLocaleTimeString()} ${step.key}: ${amount(step.before, step.unit)} → ${amount(step.after, step.unit)}, since ${step.reason}`)));
}

async function refresh() {
  try {
    const [now, alerts, tools, scaling] = await Promise.all([
      ask("/api/overview?window=60"), ask("/api/alerts"), ask("/api/tools"), ask("/api/scaling")]);
    showOverview(now, alerts.alerts);
    showAlerts(alerts);
    showTools(tools);
    showScaling(scaling);
    at("trouble").hidden = true;
  } catch (error) {
    at("state").textContent = "away";
    at("state").className = "state away";
    at("trouble").textContent = `The gateway does not answer: ${error.message}. The numbers below are the last ones.`;
    at("trouble").hidden = false;
  }
}

// Each chart is loaded beside the one that is shown, so that nothing flickers.
async function draw() {
  const query = `theme=${dark.matches ? "dark" : "light"}&window=${at("window").value}`;
  for (const image of document.querySelectorAll("img[data-chart]")) {
    const next = new Image();
    next.src = `/charts/${image.dataset.chart}.svg?${query}&at=${Date.now()}`;
    try {
      await next.decode();
      image.src = next.src;
    } catch { /* the numbers say that the gateway is away */ }
  }
}

async function showProfile() {
  const profile = await ask("/api/profile");
  at("profile_files").textContent = profile.files.join(", ");
  at("warnings").replaceChildren(...profile.warnings.map((warning) => item(warning, "warning")));
  const lines = profile.toml.split("\n");
  const filter = () => {
    const word = at("filter").value.toLowerCase();
    at("toml").textContent = lines.filter((line) => !word || line.startsWith("[") || line.toLowerCase().includes(word)).join("\n");
  };
  at("filter").addEventListener("input", filter);
  filter();
}

async function every(milliseconds, action) {
  for (;;) {
    if (!paused && document.visibilityState === "visible") await action();
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
  }
}

at("pause").addEventListener("click", () => {
  paused = !paused;
  at("pause").setAttribute("aria-pressed", String(paused));
  at("pause").textContent = paused ? "Go on" : "Pause";
});
at("window").addEventListener("change", draw);
dark.addEventListener("change", draw);
at("record").addEventListener("submit", async (event) => {
  event.preventDefault();
  const seconds = Number(at("seconds").value);
  at("recorded").textContent = `watching for ${seconds} s…`;
  try {
    const answer = await ask("/api/profiles", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ seconds }),
      patience: (seconds + 20) * 1000 });
    at("recorded").textContent = `${answer.samples} samples, ${percent(answer.busy)} of one core`;
    at("flame").src = `/api/profiles/${answer.id}.svg?theme=${dark.matches ? "dark" : "light"}`;
    at("flame").hidden = false;
    at("speedscope").href = `/api/profiles/${answer.id}.speedscope.json`;
    at("speedscope").hidden = false;
  } catch (error) {
    at("recorded").textContent = error.message;
  }
});

every(2000, refresh);
every(5000, draw);
showProfile().catch((error) => { at("toml").textContent = error.message; });
