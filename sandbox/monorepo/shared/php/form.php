<?php

declare(strict_types=1);

namespace Mo;

/** Whether the request sends a form. A form of another site (without this site's token) is refused. */
function posted(): bool
{
    if (($_SERVER['REQUEST_METHOD'] ?? 'GET') !== 'POST') {
        return false;
    }
    $cookie = $_COOKIE['mo_form'] ?? '';
    $sent = $_POST['form'] ?? '';
    if (!is_string($cookie) || !is_string($sent) || strlen($cookie) !== 32 || !hash_equals($cookie, $sent)) {
        page('Formular abgelaufen', 'Bitte laden Sie die Seite neu und senden Sie das Formular noch einmal.', '', null, 403);
        exit;
    }
    return true;
}

/** The hidden field that proves that a form is this site's own. */
function token(): string
{
    $token = $_COOKIE['mo_form'] ?? '';
    if (!is_string($token) || preg_match('/^[0-9a-f]{32}$/', $token) !== 1) {
        $token = bin2hex(random_bytes(16));
        setcookie('mo_form', $token, ['path' => '/', 'secure' => true, 'httponly' => true, 'samesite' => 'Strict']);
        $_COOKIE['mo_form'] = $token;
    }
    return '<input type="hidden" name="form" value="' . $token . '">';
}

/** A field of the form: trimmed text of at most $longest characters, or null where it is none. */
function field(string $name, int $longest = 200): ?string
{
    $value = $_POST[$name] ?? null;
    if (!is_string($value) || !mb_check_encoding($value, 'UTF-8')) {
        return null;
    }
    $value = trim($value);
    return $value !== '' && mb_strlen($value) <= $longest ? $value : null;
}

/** A field that holds an e-mail address, in lower case, or null. */
function email(string $name = 'email'): ?string
{
    $value = field($name, 254);
    return $value !== null && filter_var($value, FILTER_VALIDATE_EMAIL) !== false ? mb_strtolower($value) : null;
}

/** A labelled input. $attributes is HTML of this app's own. */
function input(string $name, string $label, string $attributes = 'required'): string
{
    return "<label for=\"$name\">" . h($label) . "</label><input id=\"$name\" name=\"$name\" $attributes>";
}

/** The labelled inputs for a person's name and e-mail address. */
function person(): string
{
    return input('name', 'Name', 'required maxlength="100" autocomplete="name"')
        . input('email', 'E-Mail-Adresse', 'type="email" required maxlength="254" autocomplete="email"');
}

/** A form of this page with a button. */
function form(string $fields, string $button): string
{
    return '<form method="post">' . token() . $fields . '<button>' . h($button) . '</button></form>';
}

/** A message about what was just done. */
function note(string $text, bool $good = true): string
{
    return '<p role="status" class="note' . ($good ? '' : ' bad') . '">' . h($text) . '</p>';
}

/** Goes to a page of this site by GET, so that a reload sends no form again. */
function go(string $query): never
{
    header('Location: ./?' . $query, true, 303);
    exit;
}

/**
 * A list of texts.
 *
 * @param list<string> $items HTML
 */
function items(array $items): string
{
    return $items === [] ? '<p>Noch nichts.</p>' : '<ul class="items"><li>' . implode('</li><li>', $items) . '</li></ul>';
}
