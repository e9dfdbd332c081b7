// Tells on a static page which release it is: the deploy puts release.json beside it.
const place = document.getElementById('release');
const rows = { service: 'Dienst', release: 'Release', commit: 'Commit' };

const show = (known) => {
  const list = document.createElement('dl');
  for (const [key, title] of Object.entries(rows)) {
    const term = document.createElement('dt');
    const value = document.createElement('dd');
    term.textContent = title;
    value.textContent = known[key] ?? 'unbekannt';
    value.dataset.release = key;
    list.append(term, value);
  }
  place.replaceChildren(list);
};

fetch('/release.json', { cache: 'no-store' })
  .then((answer) => (answer.ok ? answer.json() : {}))
  .catch(() => ({}))
  .then(show);
