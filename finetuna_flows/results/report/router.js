// The address behind # says which page is shown, so that links, bookmarks and Back work.

const PAGES = [
  [/^$/, (main, match, query, signal) => showStudy(main, signal)],
  [/^relaxations$/, (main, match, query, signal) => showRelaxations(main, query, signal)],
  [/^relaxation\/([^/]+)$/, (main, [, uuid], query, signal) => showRelaxation(main, uuid, signal)],
  [/^system\/([^/]+)$/, (main, [, key], query, signal) => showSystem(main, key, signal)],
];
let leaving = new AbortController();
let arrivals = 0;

function showNothing(main, sentence) {
  const heading = make("h1", { tabindex: "-1" }, "Not in this report");
  main.replaceChildren(
    heading,
    make("p", {}, sentence),
    make("p", {}, link("#/", "To the study"), " · ", link("#/relaxations", "To all relaxations")),
  );
  return { heading, title: "Not in this report" };
}

function readAddress() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { path: path.replace(/\/$/, ""), query: new URLSearchParams(query ?? "") };
}

function pageOf(path) {
  for (const [pattern, show] of PAGES) {
    const match = pattern.exec(path);
    if (match)
      return (main, query, signal) =>
        show(
          main,
          match.map((part) => decodeURIComponent(part)),
          query,
          signal,
        );
  }
  return (main) => showNothing(main, `There is no page ${path}.`);
}

async function go() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const main = document.getElementById("main");
  const { path, query } = readAddress();
  for (const each of document.querySelectorAll("nav a")) {
    const here = each.getAttribute("href") === `#/${path}`;
    if (here) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  window.scrollTo(0, 0);
  let shown = null;
  try {
    shown = await pageOf(path)(main, query, signal);
  } catch (error) {
    const sentence =
      error instanceof URIError
        ? `There is no page ${path}.`
        : `This page cannot be shown: ${error.message}.`;
    shown = showNothing(main, sentence);
  }
  if (!shown || signal.aborted) return;
  document.title = `${shown.title} – ${study.title}`;
  document.body.dataset.page = location.hash;
  arrivals += 1;
  if (arrivals > 1) shown.heading.focus({ preventScroll: true });
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
window.addEventListener("hashchange", go);
go();
