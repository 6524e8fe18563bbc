// The cache browser: lists entries, shows one, purges.
import { ask, bytes, duration, fill, row } from "/dashboard.js";

const at = (id) => document.getElementById(id);
let after = "";

function entryRow(entry) {
  const open = document.createElement("button");
  open.className = "link";
  open.type = "button";
  open.textContent = entry.key;
  open.addEventListener("click", () => show(entry.key));
  return row([[open, "key"], entry.tier, [bytes(entry.size), "number"], [duration(entry.age), "number"],
    [entry.expires === null ? "always" : entry.expires < 0 ? "stale" : duration(entry.expires), "number"],
    [entry.tags.join(" "), "tags"]]);
}

async function list(more) {
  const match = encodeURIComponent(at("match").value);
  if (!more) after = "";
  try {
    const answer = await ask(`/api/cache/entries?limit=50&match=${match}&after=${encodeURIComponent(after)}`);
    const rows = answer.entries.map(entryRow);
    if (more) at("entry_rows").append(...rows);
    else fill("entry_rows", rows, 6, "No entry matches.");
    after = answer.entries.at(-1)?.key ?? after;
    at("more").hidden = !answer.more;
  } catch (error) {
    fill("entry_rows", [], 6, error.message);
  }
}

async function show(key) {
  const entry = await ask(`/api/cache/entry?key=${encodeURIComponent(key)}`).catch((error) => ({ key, payload: error.message }));
  at("entry-key").textContent = entry.key;
  let text = entry.payload;
  try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is text */ }
  at("entry-payload").textContent = text;
  at("entry").showModal();
}

async function purge(event) {
  event.preventDefault();
  const kind = at("kind").value, what = at("what").value.trim();
  if (kind !== "all" && !what) {
    at("purged").textContent = `Say which ${kind}.`;
    at("what").focus();
    return;
  }
  if (kind === "all" && !confirm("Purge everything?")) return;
  const body = { [kind]: kind === "all" ? true : what, soft: at("soft").checked };
  try {
    const answer = await ask("/api/cache/purge", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), patience: 120_000 });
    at("purged").textContent = `${answer.purged} ${answer.purged === 1 ? "entry" : "entries"} purged, counting each tier`;
    await list(false);
  } catch (error) {
    at("purged").textContent = error.message;
  }
}

at("find").addEventListener("submit", (event) => { event.preventDefault(); list(false); });
at("more").addEventListener("click", () => list(true));
at("purge").addEventListener("submit", purge);
at("kind").addEventListener("change", () => { at("what").disabled = at("kind").value === "all"; });
