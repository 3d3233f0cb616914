/* The status page: one snapshot a second from /events, or every few seconds from /snapshot where events do not get
   through.  Whatever a peer gave is set as text, never as HTML. */
"use strict";

const STALE_MS = 5000;
const POLL_MS = 3000;
const RETRY_MS = 15000;
let lastAt = 0;
let source = null;
let polling = false;
const shown = new Map();

const byId = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = String(text);
  if (className) made.className = className;
  return made;
}

/* Calls |draw| only when |facts| changed, so that a selection or a screen reader is left alone. */
function whenChanged(key, facts, draw) {
  const text = JSON.stringify(facts);
  if (shown.get(key) === text) return;
  shown.set(key, text);
  draw();
}

function setText(id, text) {
  const at = byId(id);
  if (at.textContent !== text) at.textContent = text;
}

/* ---- Numbers for people ---- */

function rate(perSecond) {
  const units = ["H/s", "kH/s", "MH/s", "GH/s", "TH/s"];
  let unit = 0;
  let value = Number(perSecond) || 0;
  while (value >= 1000 && unit + 1 < units.length) {
    value /= 1000;
    unit += 1;
  }
  return (unit === 0 ? value.toFixed(0) : value.toFixed(2)) + " " + units[unit];
}

function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 120) return s + " s";
  if (s < 7200) return Math.floor(s / 60) + " min";
  if (s < 172800) return Math.floor(s / 3600) + " h";
  return Math.floor(s / 86400) + " days";
}

const time = (ms) => new Date(ms).toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC");
const milliseconds = (ms) => (ms === null || ms === undefined ? "none yet" : ms.toFixed(ms < 10 ? 2 : 1) + " ms");
const day = (unixSeconds) => time(unixSeconds * 1000).slice(0, 10);

/* ---- Pieces ---- */

function facts(id, rows) {
  whenChanged(id, rows, () => {
    const list = byId(id);
    list.replaceChildren();
    for (const [name, value, className] of rows) {
      const holder = id === "tiles" ? list.appendChild(element("div")) : list;
      holder.append(element("dt", name));
      const dd = element("dd", Array.isArray(value) ? value[0] : value, className);
      if (Array.isArray(value)) dd.append(element("small", value[1]));
      holder.append(dd);
    }
  });
}

/* |cells| are [label, text] or [label, text, class]; a class makes the text a word with a colour. */
function table(id, rows) {
  whenChanged(id, rows, () => {
    byId(id).replaceChildren(...rows.map((cells) => {
      const tr = element("tr");
      for (const [label, text, className] of cells) {
        const td = element("td");
        td.dataset.label = label;
        const holder = td.appendChild(element("span", null));
        holder.append(className && className !== "code" ? element("span", text, "word " + className)
                                                        : element("span", text, className));
        tr.append(td);
      }
      return tr;
    }));
  });
}

/* ---- The parts of the page ---- */

function drawReady(health) {
  whenChanged("ready", health, () => {
    const box = byId("ready");
    box.hidden = false;
    box.dataset.state = health.ready ? "ready" : "not-ready";
    byId("ready-word").textContent = health.ready ? "Ready: all conditions are fulfilled." : "Not ready.";
    byId("ready-reasons").replaceChildren(...(health.missing || []).map(
      (name) => element("li", name + ": " + health.conditions[name].reason)));
  });
}

function drawTiles(s) {
  const v = s.view;
  const links = s.links;
  const own = s.service === "mine";
  const rows = [
    ["Open links", [links.open, links.hybrid + " hybrid, " + links.pq + " ML-KEM alone, " + links.classical + " classical"]],
    ["Downgrades", [s.downgrades.count, "since the start"]],
    ["Handshake p50", [milliseconds(s.handshakes.p50_ms),
      "p95 " + milliseconds(s.handshakes.p95_ms) + ", p99 " + milliseconds(s.handshakes.p99_ms)]],
    ["Handshakes", [s.handshakes.completed, s.handshakes.failed + " failed"]],
    ["Hash rate", [rate(v.hash_rate), own ? v.threads + " threads, " + v.backend : v.miner_count + (v.miner_count === 1 ? " miner" : " miners")]],
  ];
  if (!own) rows.push(["Blocks", [v.blocks_accepted, "height " + v.height]]);
  facts("tiles", rows);
}

function drawPosture(p) {
  const rows = [["Policy", p.dated ? p.policy + " (" + p.dated + ")" : p.policy]];
  if (p.groups) rows.push(["Key exchange", p.groups.join(", ")]);
  if (p.signatures) rows.push(["Signatures taken", p.signatures.join(", ")]);
  if (p.ciphers) rows.push(["Ciphers", p.ciphers.join(", ")]);
  if (p.authentication) {
    rows.push(["Proof asked of peers", p.authentication === "any" ? "any of these signatures" : "ML-DSA only"]);
  }
  rows.push(["Amnesia", p.amnesia ? "on: nothing is written to a disk" : "off"]);
  facts("posture", rows);
}

const refusedOf = (m) => m.invalid + m.duplicate + m.flood + m.unavailable + m.rejected;

function drawNode(v) {
  facts("work", [
    ["Job", v.has_job ? v.job_id + ", height " + v.job_height : "none"],
    ["Difficulty", v.difficulty],
    ["Jobs come from", v.source ? (v.source.kind === "chain" ? "the development chain of this node"
      : v.source.connected ? v.source.node : "a node that is not connected") : "unknown"],
  ]);
  byId("miners-box").hidden = v.miners.length === 0;
  table("miners", v.miners.map((m) => [
    ["Name", m.name || "(no name)"],
    ["Hash rate", rate(m.hash_rate || m.share_rate)],
    ["Accepted", m.accepted],
    ["Refused", refusedOf(m)],
    ["Key exchange", m.group, m.pq ? "good" : "warn"],
    ["Address", m.address],
  ]));
  setText("miners-more", v.miner_count > v.miners.length
    ? "The newest " + v.miners.length + " of " + v.miner_count + "; 'pqlink node status' lists all." : "");
}

function drawMine(v) {
  const r = v.results;
  facts("work", [
    ["Node", v.node],
    ["State", v.state],
    ["Job", v.job ? v.job.id + ", difficulty " + v.job.difficulty : "none"],
    ["Results", r.accepted + " accepted, " + r.stale + " stale, " + v.found + " found"],
    ["Links so far", v.links],
  ]);
}

function protection(link) {
  if (!link.pq_key_exchange) return ["classical", link.downgrade === "none" ? "warn" : "bad"];
  return [link.pq_authentication ? "post-quantum" : "ML-KEM, classical signature", link.pq_authentication ? "good" : "warn"];
}

function drawLinks(links, now) {
  table("links", links.list.map((l) => [
    ["Peer", (l.role === "server" ? "from " : "to ") + l.address],
    ["Protection", ...protection(l)],
    ["Key exchange", l.group || "none"],
    ["Signatures", [l.own_signature && "ours " + l.own_signature, l.peer_signature && "theirs " + l.peer_signature]
      .filter(Boolean).join(", ") || "none"],
    ["Trust", l.trust === "insecure" ? "INSECURE: nobody checked" : l.trust === "none" ? "none asked for" : l.trust,
      l.trust === "insecure" ? "bad" : undefined],
    ["Protocol", l.protocol],
    ["Handshake", milliseconds(l.handshake_ms) + (l.resumed ? ", resumed" : "")],
    ["Age", span((now - l.opened_ms) / 1000)],
  ]));
  const left = links.open - links.list.length;
  setText("links-more", links.open === 0 ? "No link is open."
    : left > 0 ? "The newest " + links.list.length + " of " + links.open + "." : "");
}

function drawDowngrades(d) {
  byId("downgrades-none").hidden = d.count > 0;
  byId("downgrades-box").hidden = d.count === 0;
  table("downgrades", d.last.map((e) => [
    ["When", time(e.time_ms)],
    ["Peer", e.address],
    ["Reason", e.reason],
    ["Outcome", e.refused ? "refused" : "let in with " + (e.group || "nothing"), e.refused ? "good" : "warn"],
    ["Protocol", e.protocol || "none"],
  ]));
}

function leafRows(leaf, title, now) {
  const rows = [
    [title, leaf.algorithm],
    ["Fingerprint", leaf.certificate, "code"],
  ];
  if ("not_after" in leaf) {
    const left = leaf.not_after === null ? 0 : leaf.not_after - now / 1000;
    rows.push(["Expires", leaf.not_after === null ? "never"
      : day(leaf.not_after) + (left > 0 ? ", in " + span(left) : ": IT HAS EXPIRED")]);
  }
  return rows;
}

function drawKeys(keys, rotation, now) {
  byId("keys-section").hidden = !keys;
  if (!keys) return;
  const rows = [
    ...leafRows(keys.pq, "Post-quantum leaf", now),
    ...leafRows(keys.classical, "Classical leaf", now),
  ];
  if (rotation) {
    rows.push(["Rotation", rotation.state === "none" ? "none under way"
      : rotation.state + (rotation.switch_at ? ", switch on " + day(rotation.switch_at) : "") +
        (rotation.drop_at ? ", the old one goes on " + day(rotation.drop_at) : "")]);
    const own = rotation.automatic;
    rows.push(["By age", own
      ? "every " + own.days + " days" + (own.switch_at ? ", next on " + day(own.switch_at) : "") : "off"]);
  }
  facts("keys", rows);
}

function draw(s) {
  lastAt = Date.now();
  setText("service", s.service);
  setText("version", "version " + s.version);
  setText("uptime", "up for " + span(s.uptime_seconds));
  document.title = "pqlink " + s.service + (s.health.ready ? "" : ": not ready");
  drawReady(s.health);
  drawTiles(s);
  drawPosture(s.posture);
  if (s.service === "mine") drawMine(s.view);
  else drawNode(s.view);
  drawLinks(s.links, s.now_ms);
  drawDowngrades(s.downgrades);
  drawKeys(s.keys, s.view.rotation, s.now_ms);
  state();
}

/* ---- Where snapshots come from ---- */

function state() {
  const fresh = Date.now() - lastAt < STALE_MS;
  const word = lastAt === 0 ? "waiting" : fresh ? "live" : "stale";
  const text = lastAt === 0 ? "waiting for the first snapshot"
    : fresh ? (polling ? "live, asked every few seconds" : "live")
    : "not up to date: last heard of " + span((Date.now() - lastAt) / 1000) + " ago";
  byId("live").dataset.state = word;
  setText("live", text);
}

async function poll() {
  if (!polling) return;
  try {
    const answer = await fetch("/snapshot", { cache: "no-store" });
    if (answer.ok) draw(await answer.json());
  } catch {
    /* the process is away; the state says so */
  }
  if (polling) setTimeout(poll, POLL_MS);
}

/* An EventSource comes again by itself after a lost connection, but not after an answer that is no stream (503 when
   as many listen as may). */
function listen() {
  source = new EventSource("/events");
  source.onmessage = (event) => {
    polling = false;
    draw(JSON.parse(event.data));
  };
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(listen, RETRY_MS);
    }
    if (!polling) {
      polling = true;
      poll();
    }
  };
}

setInterval(state, 1000);
listen();
