// Puts the PHP pages beside the compiled scripts: dist/ is what the web server gets.
import { cpSync } from 'node:fs';

cpSync(new URL('public/', import.meta.url), new URL('dist/', import.meta.url), { recursive: true });
