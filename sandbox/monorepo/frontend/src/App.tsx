import { useEffect, useState } from 'react';
import { ask, type Health } from './api';
import { Dashboard } from './Dashboard';
import { Login, Register, Verify } from './forms';
import { route } from './route';

const TITLES = { home: 'Start', register: 'Registrieren', login: 'Anmelden', dashboard: 'Mein Bereich', verify: 'Bestätigung', unknown: 'Nicht gefunden' };

export function App() {
  const [at, setAt] = useState(() => route(location.hash));
  const [token, setToken] = useState(() => sessionStorage.getItem('token') ?? '');

  useEffect(() => {
    const follow = () => setAt(route(location.hash));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  useEffect(() => {
    document.title = `${TITLES[at.page]} – Menschlichkeit Österreich`;
  }, [at]);

  const enter = (given: string) => {
    sessionStorage.setItem('token', given);
    setToken(given);
    location.hash = given ? '#/dashboard' : '#/';
  };
  const link = (page: string, text: string) => (
    <a href={`#/${page}`} aria-current={at.page === (page || 'home') ? 'page' : undefined}>
      {text}
    </a>
  );

  return (
    <>
      <header>
        <p>Menschlichkeit Österreich</p>
        <nav aria-label="Hauptmenü">
          {link('', 'Start')}
          {token ? link('dashboard', 'Mein Bereich') : link('login', 'Anmelden')}
          {!token && link('register', 'Registrieren')}
        </nav>
      </header>
      <main>
        <h1>{TITLES[at.page]}</h1>
        {at.page === 'home' && <p>Willkommen! Hier melden sich Mitglieder an, pflegen ihr Profil und finden, was gerade läuft.</p>}
        {at.page === 'register' && <Register />}
        {at.page === 'login' && <Login enter={enter} />}
        {at.page === 'verify' && <Verify token={at.token} />}
        {at.page === 'dashboard' && (token ? <Dashboard token={token} leave={() => enter('')} /> : <p>Bitte <a href="#/login">melden Sie sich an</a>.</p>)}
        {at.page === 'unknown' && <p>Diese Seite gibt es nicht. <a href="#/">Zum Start</a></p>}
      </main>
      <Footer />
    </>
  );
}

type Release = { service?: string; release?: string; commit?: string };

/** Which release this is, and how many members the API's database knows. */
function Footer() {
  const [release, setRelease] = useState<Release>({});
  const [members, setMembers] = useState('…');
  useEffect(() => {
    fetch('/release.json', { cache: 'no-store' })
      .then((answer) => (answer.ok ? answer.json() : {}))
      .then(setRelease, () => {});
    ask<Health>('GET', '/health').then(
      (health) => setMembers(String(health.database.members)),
      () => setMembers('unbekannt'),
    );
  }, []);
  return (
    <footer>
      <dl>
        <dt>Dienst</dt>
        <dd data-release="service">{release.service ?? 'unbekannt'}</dd>
        <dt>Release</dt>
        <dd data-release="release">{release.release ?? 'unbekannt'}</dd>
        <dt>Commit</dt>
        <dd data-release="commit">{release.commit ?? 'unbekannt'}</dd>
        <dt>Mitglieder</dt>
        <dd data-database>{members}</dd>
      </dl>
    </footer>
  );
}
