<?php

declare(strict_types=1);

namespace Mo;

/** Text made safe for HTML. */
function h(int|string|null $text): string
{
    return htmlspecialchars((string) $text, ENT_QUOTES | ENT_SUBSTITUTE | ENT_HTML5, 'UTF-8');
}

/**
 * What this release is, from release.json, which the deploy writes.
 *
 * @return array<string, string|null>
 */
function release(): array
{
    $known = json_decode((string) @file_get_contents(root() . '/release.json'), true);
    return is_array($known) ? $known : [];
}

/**
 * Answers with a whole page. $body is HTML; $value is a fact from the database: its name and itself.
 *
 * @param array{string, int|string}|null $value
 */
function page(string $title, string $lead, string $body, ?array $value, int $status = 200): void
{
    http_response_code($status);
    header('Content-Type: text/html; charset=utf-8');
    header('Cache-Control: no-store');
    header("Content-Security-Policy: default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
    header('X-Content-Type-Options: nosniff');
    header('Referrer-Policy: same-origin');
    $release = release();
    $facts = ['Dienst' => $release['service'] ?? null, 'Release' => $release['release'] ?? null, 'Commit' => $release['commit'] ?? null];
    $list = '';
    foreach ($facts as $name => $known) {
        $list .= '<dt>' . $name . '</dt><dd data-release="' . strtolower($name === 'Dienst' ? 'service' : $name) . '">' . h($known ?? 'unbekannt') . '</dd>';
    }
    if ($value !== null) {
        $list .= '<dt>' . h($value[0]) . '</dt><dd data-database>' . h($value[1]) . '</dd>';
    }
    $head = h($title);
    $about = h($lead);
    echo <<<HTML
        <!doctype html>
        <html lang="de">
        <head>
        <meta charset="utf-8">
        <title>$head – Menschlichkeit Österreich</title>
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="description" content="$about">
        <link rel="stylesheet" href="/assets/site.css">
        <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
        </head>
        <body>
        <a class="skip" href="#main">Zum Inhalt</a>
        <header><p>Menschlichkeit Österreich</p></header>
        <main id="main">
        <h1>$head</h1>
        <p>$about</p>
        $body
        </main>
        <footer><dl>$list</dl></footer>
        </body>
        </html>

        HTML;
}
