<?php

declare(strict_types=1);

use function Mo\{change, email, field, form, go, input, note, number, page, person, posted, send_mail, sender, setting};

require __DIR__ . '/lib/app.php';
require __DIR__ . '/lib/mail.php';

/** Stores a ticket and confirms it by mail; its reference. */
function open_ticket(string $name, string $email, string $subject, string $message): string
{
    $reference = 'T' . strtoupper(substr(bin2hex(random_bytes(5)), 0, 9));
    change('INSERT INTO tickets (reference, name, email, subject, message) VALUES (?, ?, ?, ?, ?)', [$reference, $name, $email, $subject, $message]);
    try {
        send_mail(setting('SUPPORT_EMAIL', sender()), $email, "Anfrage $reference", "Guten Tag $name,\n\nwir haben Ihre Anfrage „{$subject}“ erhalten.\nIhre Nummer: $reference\n");
    } catch (RuntimeException $error) {
        // The ticket is safe; the visitor sees its number on the page.
        error_log('support: ' . $error->getMessage());
    }
    return $reference;
}

$body = '';
if (posted()) {
    [$name, $email, $subject, $message] = [field('name', 100), email(), field('subject', 150), field('message', 5000)];
    if ($name !== null && $email !== null && $subject !== null && $message !== null) {
        go('ticket=' . open_ticket($name, $email, $subject, $message));
    }
    $body = note('Bitte füllen Sie alle Felder aus.', false);
}
$ticket = $_GET['ticket'] ?? '';
if (is_string($ticket) && preg_match('/^T[0-9A-F]{9}$/', $ticket) === 1) {
    $body = note("Danke! Ihre Anfrage hat die Nummer $ticket.");
}
$body .= form(
    person() . input('subject', 'Betreff', 'required maxlength="150"')
    . '<label for="message">Nachricht</label><textarea id="message" name="message" rows="6" required maxlength="5000"></textarea>',
    'Anfrage senden',
);
page('Support', 'Schreiben Sie uns; wir antworten innerhalb von zwei Werktagen.', $body, ['Offene Anfragen', number("SELECT COUNT(*) FROM tickets WHERE state = 'open'")]);
