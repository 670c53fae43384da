// The columns of the table of all relaxations, and of its CSV.

const WORDS = { true: "yes", false: "no" };

function word(value) {
  return WORDS[value] ?? NOTHING;
}

// `value` sorts and goes into the CSV, `show` is read; `width` in pixels.
const ALL_COLUMNS = [
  { key: "system", title: "System", width: 152 },
  { key: "formula", title: "Formula", width: 150 },
  { key: "adsorbate", title: "Adsorbate", width: 124 },
  { key: "name", title: "Method", width: 190, show: (row) => methodLabel(row.name) },
  { key: "mode", title: "Mode", width: 90, hint: "What the parent kept between labels" },
  { key: "calls", title: "Parent calls", number: true, width: 90, show: (row) => count(row.calls) },
  {
    key: "ratio",
    title: "Of the reference’s",
    unit: "%",
    number: true,
    width: 112,
    value: (row) => (row.ratio === null ? null : Number((100 * row.ratio).toFixed(2))),
    show: (row) => percent(row.ratio),
  },
  { key: "scf", title: "SCF cycles", number: true, width: 92, show: (row) => count(row.scf) },
  {
    key: "time",
    title: "Wall time",
    unit: "s",
    number: true,
    width: 96,
    show: (row) => decimals(row.time, 1),
  },
  {
    key: "energy",
    title: "Energy",
    unit: "eV",
    number: true,
    width: 112,
    show: (row) => decimals(row.energy, 4),
  },
  {
    key: "difference",
    title: "ΔE",
    unit: "eV",
    number: true,
    width: 98,
    hint: "Energy minus the reference’s",
    show: (row) => decimals(row.difference, 4, { sign: true }),
  },
  {
    key: "fmax",
    title: "fmax",
    unit: "eV/Å",
    number: true,
    width: 92,
    show: (row) => decimals(row.fmax, 4),
  },
  {
    key: "same",
    title: "Same minimum",
    width: 104,
    hint: "As the reference’s",
    show: (row) => word(row.same),
  },
  {
    key: "passes",
    title: "Paper’s success",
    width: 100,
    hint: "The energy alone",
    show: (row) => word(row.passes),
  },
  {
    key: "strict",
    title: "Strict success",
    width: 96,
    hint: "Energy, forces and minimum",
    show: (row) => word(row.strict),
  },
  { key: "stop", title: "Stopped", width: 150, hint: "Why it ended" },
  { key: "integrity", title: "Adsorbate’s state", width: 140 },
  { key: "completed", title: "Completed", unit: "UTC", width: 150 },
];

// What no relaxation of this study says needs no column.
const COLUMNS = ALL_COLUMNS.filter((column) => relaxations.some((row) => row[column.key] !== null));

function valueOf(column, row) {
  return column.value ? column.value(row) : row[column.key];
}

function titleOf(column) {
  return column.unit ? `${column.title} (${column.unit})` : column.title;
}

// A table's text begins no formula when a spreadsheet opens it: a name is not to be run.
function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

function csvOf(rows) {
  const extra = [
    { key: "parent", title: "Parent", unit: "s" },
    { key: "tuning", title: "Tuning", unit: "s" },
    { key: "prediction", title: "Prediction", unit: "s" },
    { key: "overhead", title: "Overhead", unit: "s" },
    { key: "rmsd", title: "RMSD", unit: "Å" },
    { key: "failures", title: "Fails because" },
    { key: "note", title: "Note" },
    { key: "tags", title: "Tags" },
    { key: "uuid", title: "UUID" },
    { key: "key", title: "System key" },
  ];
  const columns = [...COLUMNS, ...extra];
  const lines = [columns.map((column) => csvCell(titleOf(column)))];
  for (const row of rows) lines.push(columns.map((column) => csvCell(valueOf(column, row))));
  return lines.map((cells) => `${cells.join(",")}\r\n`).join("");
}

function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
