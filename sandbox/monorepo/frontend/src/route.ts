export type Route =
  | { page: 'home' | 'register' | 'login' | 'dashboard' | 'unknown' }
  | { page: 'verify'; token: string };

const PAGES = { '': 'home', register: 'register', login: 'login', dashboard: 'dashboard' } as const;

/** The page that an address's fragment names: `#/login`, `#/verify/<token>`. */
export function route(hash: string): Route {
  const [first = '', second = ''] = hash.replace(/^#?\/?/, '').split('/');
  if (first === 'verify' && /^[0-9a-f]{32}$/.test(second)) return { page: 'verify', token: second };
  return { page: Object.hasOwn(PAGES, first) ? PAGES[first as keyof typeof PAGES] : 'unknown' };
}
