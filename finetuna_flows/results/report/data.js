// What the file holds: the study, a line of each relaxation, and their details, packed.

const study = readJson("study");
const relaxations = inOrder(readRows(readJson("rows")));
const byUuid = new Map(relaxations.map((row) => [row.uuid, row]));
const bySystem = grouped(relaxations);
const KEPT = 12;
const unpacked = new Map();

function readJson(id) {
  const element = document.getElementById(id);
  const content = JSON.parse(element.textContent);
  element.remove();
  return content;
}

// From columns to one object a relaxation, whose index names its details; a column of few words
// comes as indices into them.
function readRows(columns) {
  const names = Object.keys(columns);
  const values = names.map((name) => {
    const column = columns[name];
    return Array.isArray(column) ? column : column.at.map((index) => column.words[index] ?? null);
  });
  return values[0].map((_, index) => {
    const row = { index };
    names.forEach((name, place) => {
      row[name] = values[place][index];
    });
    return row;
  });
}

function grouped(rows) {
  const groups = new Map();
  for (const row of rows) {
    if (!groups.has(row.key)) groups.set(row.key, []);
    groups.get(row.key).push(row);
  }
  return groups;
}

// By system, and of each the reference first, then as the study orders its methods.
function inOrder(rows) {
  const place = new Map(study.methods.map((name, index) => [name, index]));
  return [...rows].sort(
    (one, other) =>
      byText(one.system, other.system) ||
      byText(one.key, other.key) ||
      place.get(one.name) - place.get(other.name),
  );
}

async function unpack(text) {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("this browser is too old to unpack the data; take one of 2023 or newer");
  }
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

// The details come last in the file: a page that is opened early has to wait for its own.
const parsed = new Promise((resolve) => {
  if (document.readyState !== "loading") resolve();
  else document.addEventListener("DOMContentLoaded", () => resolve(), { once: true });
});

// Facts, curve, parent calls and atoms of one relaxation; null where the file holds none.
async function detailsOf(row) {
  if (unpacked.has(row.index)) return unpacked.get(row.index);
  if (!document.getElementById(`d${row.index}`)) await parsed;
  const element = document.getElementById(`d${row.index}`);
  if (!element) return null;
  const details = JSON.parse(await unpack(element.textContent));
  if (unpacked.size >= KEPT) unpacked.delete(unpacked.keys().next().value);
  unpacked.set(row.index, details);
  return details;
}
