// Talks to the API, which lives beside this site: frontend.example.org asks api.example.org.

export type Profile = { email: string; name: string; bio: string };
export type Health = { release: string | null; database: { engine: string; members: number } };

/** Where the API is, for a site at `host` (with its port). */
export function apiBase(protocol: string, host: string): string {
  return `${protocol}//${host.replace(/^frontend\./, 'api.')}`;
}

/** What a failed answer says, in words for a person. */
export function problem(status: number, body: unknown): string {
  const detail = (body as { detail?: unknown } | null)?.detail;
  if (typeof detail === 'string') return detail;
  return status === 422 ? 'Bitte prüfen Sie Ihre Eingaben.' : 'Das hat nicht geklappt. Bitte versuchen Sie es später wieder.';
}

/** Asks the API; throws an Error whose message is for a person. */
export async function ask<T>(method: 'GET' | 'POST' | 'PATCH', path: string, body?: unknown, token?: string): Promise<T> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(apiBase(location.protocol, location.host) + path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const told: unknown = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(problem(answer.status, told));
  return told as T;
}
