<?php

declare(strict_types=1);

use function Mo\{change, database, email, field, form, go, input, note, number, page, person, posted, rows, send_mail, setting};

require __DIR__ . '/lib/app.php';
require __DIR__ . '/lib/mail.php';

/** The contact with this address, made where there is none; its id. */
function contact(string $name, string $email): int
{
    $known = number('SELECT contact_id FROM civicrm_email WHERE email = ?', [$email]);
    if ($known > 0) {
        return $known;
    }
    change('INSERT INTO civicrm_contact (display_name) VALUES (?)', [$name]);
    $contact = (int) database()->lastInsertId();
    change('INSERT INTO civicrm_email (contact_id, email) VALUES (?, ?)', [$contact, $email]);
    return $contact;
}

/** Stores a donation whole or not at all, then thanks by mail; its number. */
function donate(string $name, string $email, string $amount): string
{
    $transaction = strtoupper(bin2hex(random_bytes(8)));
    database()->beginTransaction();
    change('INSERT INTO civicrm_contribution (contact_id, total_amount, trxn_id, source) VALUES (?, ?, ?, ?)', [contact($name, $email), $amount, $transaction, 'Website']);
    database()->commit();
    try {
        send_mail(setting('CIVIMAIL_FROM'), $email, 'Danke für Ihre Spende', "Guten Tag $name,\n\ndanke für Ihre Spende von $amount Euro.\nNummer: $transaction\n");
    } catch (RuntimeException $error) {
        error_log('crm: ' . $error->getMessage());
    }
    return $transaction;
}

$body = '';
if (posted()) {
    [$name, $email, $amount] = [field('name', 100), email(), str_replace(',', '.', field('amount', 10) ?? '')];
    if ($name !== null && $email !== null && preg_match('/^[1-9]\d{0,5}(\.\d{1,2})?$/', $amount) === 1) {
        go('donation=' . donate($name, $email, $amount));
    }
    $body = note('Bitte geben Sie Name, E-Mail-Adresse und einen Betrag ab 1 Euro an.', false);
}
$donation = $_GET['donation'] ?? '';
if (is_string($donation) && preg_match('/^[0-9A-F]{16}$/', $donation) === 1) {
    $body = note("Danke für Ihre Spende! Nummer: $donation");
}
$body .= form(person() . input('amount', 'Betrag in Euro', 'inputmode="decimal" required maxlength="10"'), 'Spenden');
$body .= '<p>Bisherige Spenden: <strong>' . number('SELECT COUNT(*) FROM civicrm_contribution') . '</strong></p>';
$version = rows('SELECT version FROM civicrm_domain ORDER BY id LIMIT 1')[0]['version'] ?? 'unbekannt';
page('Spenden', 'Ihre Spende trägt unsere Beratung. Steht in der Sandbox anstelle von Drupal und CiviCRM.', $body, ['CiviCRM-Schema', (string) $version]);
