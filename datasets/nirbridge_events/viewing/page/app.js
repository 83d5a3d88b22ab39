"use strict";

const KEPT = 600;
const COLOURS = ["#58a6ff", "#ff9d5c", "#4cc38a", "#d2a8ff", "#f2b134", "#ff7b9c", "#39c5cf", "#a8d634", "#c9d1d9", "#8b9aab"];
const LANES = ["#0b0f14", "#2f6b8e", "#27a884", "#a8d634", "#fde047", "#ffffff"];
const TEXT = "#e6edf3", QUIET = "#8b9aab", LINE = "#2a3542", ACCENT = "#4cc38a";
const FONT = '13px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const LATENCY_FROM = { arrival: "window end, by arrival", pace: "window end, at recorded pace", read: "window read" };
const byId = (id) => document.getElementById(id);

let about = null;
let picture = null;
let points = [];
let latencyFrom = "arrival";

/* ---------- numbers and names ---------- */

const nameOf = (k) => (about.labels ? about.labels[k] : `class ${k}`);
const percent = (x) => `${(100 * x).toFixed(x < 0.1 ? 1 : 0)} %`;
const round = (x) => (Math.abs(x) >= 100 ? x.toFixed(0) : x.toFixed(Math.abs(x) >= 10 ? 1 : 2));
const laneLevel = (lane) => Math.min(LANES.length - 1, lane);

function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/* ---------- pictures ---------- */

function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

function paint(id, height, width, colourOf) {
  const canvas = byId(id);
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const [r, g, b] = colourOf(i);
    image.data.set([r, g, b, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

function mixed(levels, size, full) {
  const on = rgb("#ff9d5c"), off = rgb("#58a6ff"), both = rgb("#f0f6fc"), ground = rgb(LANES[0]);
  const one = levels.length === size;
  return (i) => {
    const a = one ? 0 : levels[i], b = one ? levels[i] : levels[size + i];
    if (!a && !b) return ground;
    const colour = a && b ? both : b ? on : off;
    const strength = 0.4 + 0.6 * Math.min(1, Math.max(a, b) / full);
    return colour.map((c, k) => ground[k] + (c - ground[k]) * strength);
  };
}

function drawPictures() {
  const [, height, width] = picture.shape;
  const levels = bytes(picture.levels), size = height * width;
  paint("frame", height, width, mixed(levels, size, about.lanes || 255));
  const ramp = LANES.map(rgb);
  const shade = (level) => {
    if (about.lanes) return ramp[laneLevel(level)];
    const at = (level / 255) * (ramp.length - 1), low = Math.floor(at), high = Math.min(low + 1, ramp.length - 1);
    return ramp[low].map((c, k) => c + (ramp[high][k] - c) * (at - low));
  };
  paint("lanes", height, width, (i) => {
    let level = 0;
    for (let at = i; at < levels.length; at += size) level = Math.max(level, levels[at]);
    return shade(level);
  });
  drawLegend(picture.pixels);
}

function drawLegend(counts) {
  const items = [];
  for (let lane = 1; lane <= about.lanes; lane++) {
    items.push([`lane ${lane - 1}, value ${2 ** (lane - 1)}: ${counts[lane]} px`, laneLevel(lane)]);
  }
  if (!about.lanes) items.push(["low", 1], ["", 2], ["", 3], ["", 4], ["high", 5]);
  const legend = byId("lane-legend");
  while (legend.children.length < items.length) legend.append(document.createElement("li"));
  items.forEach(([text, level], i) => {
    legend.children[i].textContent = text;
    legend.children[i].className = `l${level}`;
  });
}

/* ---------- charts ---------- */

function chart(id) {
  const canvas = byId(id), scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.font = FONT;
  context.textBaseline = "middle";
  return { context, width, height };
}

function shortened(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  while (text.length > 1 && context.measureText(`${text}…`).width > room) text = text.slice(0, -1);
  return `${text}…`;
}

/* Rows of name, bar and number; negative values grow to the left of zero. */
function bars(id, rows, format, top = 0) {
  const { context, width, height } = chart(id);
  const named = Math.min(0.35 * width, Math.max(...rows.map((row) => context.measureText(row.name).width)) + 12);
  const from = named, to = width - 58;
  const low = Math.min(0, ...rows.map((row) => row.value)), high = Math.max(1e-9, top, ...rows.map((row) => row.value));
  const x = (value) => from + ((value - low) / (high - low)) * (to - from);
  const step = Math.min(34, height / rows.length), thick = Math.max(2, Math.min(18, step * 0.62));
  rows.forEach((row, i) => {
    const y = (i + 0.5) * step;
    context.fillStyle = row.strong ? TEXT : QUIET;
    if (step >= 11) context.fillText(shortened(context, row.name, named - 10), 0, y);
    context.fillStyle = LINE;
    context.fillRect(from, y - thick / 2, to - from, thick);
    context.fillStyle = row.colour;
    context.fillRect(Math.min(x(0), x(row.value)), y - thick / 2, Math.max(1, Math.abs(x(row.value) - x(0))), thick);
    context.fillStyle = row.strong ? TEXT : QUIET;
    if (step >= 11) context.fillText(format(row.value), to + 8, y);
  });
}

/* Curves over the windows that the page knows, the newest at the right. */
function curves(id, series, format, from0) {
  const { context, width, height } = chart(id);
  const all = series.flatMap((one) => one.values);
  if (!all.length) return;
  let low = Math.min(...all), high = Math.max(...all);
  if (from0) low = Math.min(0, low);
  if (high - low < 1e-9) high = low + 1;
  high += 0.08 * (high - low);
  const left = 46, right = width - 8, top = 6, bottom = height - 22;
  const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
  context.fillStyle = QUIET;
  context.strokeStyle = LINE;
  context.lineWidth = 1;
  for (const part of [0, 0.5, 1]) {
    const value = low + part * (high - low), at = Math.round(y(value)) + 0.5;
    context.beginPath(); context.moveTo(left, at); context.lineTo(right, at); context.stroke();
    context.textAlign = "right"; context.fillText(format(value), left - 6, Math.max(8, at));
  }
  context.textAlign = "left"; context.fillText(`window ${points[0].window}`, left, height - 8);
  context.textAlign = "right"; context.fillText(`${points[points.length - 1].window}`, right, height - 8);
  context.textAlign = "left";
  context.lineJoin = "round";
  for (const one of [...series].sort((a, b) => (a.width || 1) - (b.width || 1))) {
    context.strokeStyle = one.colour;
    context.lineWidth = one.width || 1;
    context.beginPath();
    one.values.forEach((value, i) => {
      const x = left + (one.values.length > 1 ? i / (one.values.length - 1) : 1) * (right - left);
      if (i) context.lineTo(x, y(value)); else context.moveTo(x, y(value));
    });
    context.stroke();
  }
}

function drawCharts() {
  const last = points[points.length - 1];
  const colourOf = (k) => (k === last.class ? ACCENT : "#46566a");
  bars("scores", last.scores.map((value, k) => ({ name: nameOf(k), value, colour: colourOf(k), strong: k === last.class })), round);
  const rates = about.layers.map((name, i) => ({ name, value: last.rates[name] ?? 0, colour: COLOURS[i % COLOURS.length], strong: true }));
  if (rates.length) {
    byId("rates").style.height = `${Math.min(230, 31 * rates.length)}px`;
    bars("rates", rates, percent, Math.max(...points.flatMap((point) => Object.values(point.rates))));
    curves("rate-history", rates.map(({ name, colour }) => ({
      values: points.map((point) => point.rates[name] ?? 0), colour, width: 1.5,
    })), percent, true);
  }
  curves("history", last.scores.map((_, k) => ({
    values: points.map((point) => point.scores[k]), colour: colourOf(k), width: k === last.class ? 2.5 : 1,
  })), round, false);
  const latencies = points.map((point) => point.latency_ms), waits = points.map((point) => point.queue_ms);
  byId("latency-note").textContent =
    `${LATENCY_FROM[latencyFrom]} → decision, ms: median ${round(quantile(latencies, 0.5))}, ` +
    `p99 ${round(quantile(latencies, 0.99))}; grey: queueing`;
  curves("latency", [
    { values: waits, colour: QUIET, width: 1 }, { values: latencies, colour: "#f2b134", width: 1.5 },
  ], round, true);
}

/* ---------- text ---------- */

function drawDecision() {
  const last = points[points.length - 1];
  byId("label").textContent = nameOf(last.class) + (last.early ? " ✓" : "");
  byId("margin").textContent = round(last.margin);
  byId("window").textContent = last.window;
  byId("time").textContent = `${(last.t_us / 1e3).toFixed(1)} ms`;
  byId("events").textContent = last.events.toLocaleString("en");
}

function drawHealth(health) {
  latencyFrom = health.latency_from;
  byId("lag").textContent = `${round(health.lag_ms)} ms`;
  for (const name of ["dropped", "late", "outside", "malformed"]) {
    byId(name).textContent = health[name].toLocaleString("en");
    byId(name).className = health[name] ? "bad" : "";
  }
  byId("notices").textContent = health.notices.join("\n");
  if (health.silent) setStatus("silent", `silent: no event for ${health.silent_s.toFixed(0)} s`);
  else setStatus("live", "live");
}

function drawAbout() {
  byId("about").textContent = `${about.source} → ${about.model} on ${about.runtime}`;
  byId("about").title = byId("about").textContent;
  const [channels, height, width] = about.shape;
  byId("frame-note").textContent = `${channels}×${height}×${width}, ${about.window}, ${about.coding}`;
  byId("lanes-title").textContent = about.lanes ? "Lanes" : "Values";
}

function setStatus(state, text) {
  byId("status").dataset.state = state;
  byId("status").textContent = text;
}

function draw() {
  if (points.length) {
    drawDecision();
    drawCharts();
  }
  if (picture) drawPictures();
}

function ended(summary) {
  const latency = summary.latency_ms ? `, p99 ${round(summary.latency_ms.p99)} ms` : "";
  setStatus("ended", `ended: ${summary.events.toLocaleString("en")} events, ${summary.decisions} decisions${latency}`);
}

async function start() {
  about = await (await fetch("/about")).json();
  drawAbout();
  const source = new EventSource("/updates");
  source.onopen = () => { points = []; setStatus("live", "live"); };
  source.onerror = () => setStatus("lost", "connection lost");
  source.onmessage = (message) => {
    const update = JSON.parse(message.data);
    points = points.concat(update.points).slice(-KEPT);
    picture = update.picture || picture;
    if (update.health) drawHealth(update.health);
    if (update.summary) { source.close(); ended(update.summary); }
    window.requestAnimationFrame(draw);
  };
  window.addEventListener("resize", draw);
}

start().catch(() => setStatus("lost", "connection lost"));
