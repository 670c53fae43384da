// Numbers as people read them; a dash where there is none.

const NOTHING = "–";
const MINUS = "−";
const byText = new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare;

function decimals(value, digits, { sign = false } = {}) {
  if (value === null || value === undefined) return NOTHING;
  const text = Math.abs(value).toFixed(digits);
  const zero = Number(text) === 0;
  return (value < 0 && !zero ? MINUS : sign && !zero ? "+" : "") + text;
}

// Two digits that count, of what may be very small.
function twoDigits(value) {
  if (value === null || value === undefined) return NOTHING;
  const digits = value ? Math.max(0, 1 - Math.floor(Math.log10(Math.abs(value)))) : 0;
  return digits > 6 ? value.toExponential(1).replace("-", MINUS) : decimals(value, digits);
}

function percent(value, digits = 1) {
  return value === null || value === undefined ? NOTHING : `${decimals(100 * value, digits)} %`;
}

function count(value) {
  return value === null || value === undefined ? NOTHING : value.toLocaleString("en-US");
}

function seconds(value) {
  if (value === null || value === undefined) return NOTHING;
  if (value < 100) return `${decimals(value, 1)} s`;
  if (value < 6000) return `${decimals(value / 60, 1)} min`;
  return `${decimals(value / 3600, 1)} h`;
}

function yesNo(value) {
  return value === null || value === undefined ? NOTHING : value ? "yes" : "no";
}

// "1 relaxation", "2 relaxations".
function many(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

// plotly.js takes a few tags in its texts for formatting: names are to be shown as they are.
function plain(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
