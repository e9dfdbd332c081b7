import { describe, expect, it, vi } from 'vitest';
import { apiBase, ask, problem } from './api';
import { route } from './route';

describe('the address of the API', () => {
  it('is beside the site, with its port', () => {
    expect(apiBase('https:', 'frontend.mo.localhost:28443')).toBe('https://api.mo.localhost:28443');
    expect(apiBase('https:', 'frontend.menschlichkeit-oesterreich.at')).toBe('https://api.menschlichkeit-oesterreich.at');
  });
});

describe('a failed answer', () => {
  it('is told in words for a person', () => {
    expect(problem(401, { detail: 'Bitte melden Sie sich an.' })).toBe('Bitte melden Sie sich an.');
    expect(problem(422, { detail: [{ loc: ['body'] }] })).toContain('Eingaben');
    expect(problem(502, null)).toContain('später');
  });

  it('is thrown', async () => {
    vi.stubGlobal('location', { protocol: 'https:', host: 'frontend.example.org' });
    const fetched = vi.fn(async () => new Response('{"detail":"nein"}', { status: 403 }));
    vi.stubGlobal('fetch', fetched);
    await expect(ask('POST', '/login', { email: 'a' }, 't')).rejects.toThrow('nein');
    expect(fetched).toHaveBeenCalledWith('https://api.example.org/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: 'Bearer t' },
      body: '{"email":"a"}',
    });
    vi.unstubAllGlobals();
  });
});

describe('an address', () => {
  it('names its page', () => {
    expect(route('')).toEqual({ page: 'home' });
    expect(route('#/login')).toEqual({ page: 'login' });
    expect(route(`#/verify/${'0a'.repeat(16)}`)).toEqual({ page: 'verify', token: '0a'.repeat(16) });
  });

  it('that names none is unknown', () => {
    for (const hash of ['#/nothing', '#/verify/x', '#/constructor', '#/__proto__']) expect(route(hash)).toEqual({ page: 'unknown' });
  });
});
