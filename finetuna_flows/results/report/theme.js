// Colours of Okabe and Ito, which readers with any common colour blindness tell apart, and a mark
// for each, in the order of the package's figures for papers. The first is black, or white in dark.

const COLORS = ["", "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442"];
const SYMBOLS = [
  "circle",
  "square",
  "triangle-up",
  "diamond",
  "triangle-down",
  "cross",
  "x",
  "hexagon",
];
const dark = matchMedia("(prefers-color-scheme: dark)");
const PAPER_WIDTH = 680;
const PAPER = { back: "#ffffff", text: "#000000", line: "#dddddd", "strong-line": "#777777" };
let onPaper = false;

// A colour of the style sheet by its name.
function tone(name) {
  return onPaper
    ? PAPER[name]
    : getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function isDark() {
  return dark.matches && !onPaper;
}

// How a method is drawn everywhere; beyond eight methods the marks are open and the lines dashed.
function lookOf(name) {
  const place = Math.max(0, study.methods.indexOf(name));
  const again = place >= COLORS.length;
  return {
    color: COLORS[place % COLORS.length] || (isDark() ? "#FFFFFF" : "#000000"),
    symbol: SYMBOLS[place % SYMBOLS.length] + (again ? "-open" : ""),
    dash: again ? "dash" : "solid",
  };
}

// The same colour for the style sheet, which follows the theme by itself.
function inkOf(name) {
  return COLORS[Math.max(0, study.methods.indexOf(name)) % COLORS.length] || "var(--text)";
}

window.addEventListener("beforeprint", () => {
  onPaper = true;
});
window.addEventListener("afterprint", () => {
  onPaper = false;
});

// Calls `redraw` when the reader's system turns dark or light, and for paper and after it.
function onTheme(redraw, signal) {
  dark.addEventListener("change", redraw, { signal });
  window.addEventListener("beforeprint", redraw, { signal });
  window.addEventListener("afterprint", redraw, { signal });
}
