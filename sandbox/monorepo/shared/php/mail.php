<?php

declare(strict_types=1);

namespace Mo;

use RuntimeException;

/** Sends one plain-text mail by the SMTP server of the settings. Raises RuntimeException where that does not take it. */
function send_mail(string $from, string $to, string $subject, string $text): void
{
    $host = setting('SMTP_HOST');
    $smtp = @stream_socket_client("tcp://$host:" . setting('SMTP_PORT', '587'), $code, $reason, 10);
    if ($smtp === false) {
        throw new RuntimeException("the mail server $host does not answer: $reason");
    }
    stream_set_timeout($smtp, 15);
    $say = static function (string $line, string ...$expected) use ($smtp, $host): string {
        if ($line !== '') {
            fwrite($smtp, $line . "\r\n");
        }
        $answer = '';
        do {
            $part = (string) fgets($smtp, 1000);
            $answer .= $part;
        } while (isset($part[3]) && $part[3] === '-');
        if (!in_array(substr($answer, 0, 3), $expected, true)) {
            // Never the line that was sent: it may hold the password.
            throw new RuntimeException("the mail server $host said: " . trim(substr($answer, 0, 200)));
        }
        return $answer;
    };
    $say('', '220');
    $offers = $say('EHLO menschlichkeit.localhost', '250');
    if (stripos($offers, 'STARTTLS') !== false) {
        $say('STARTTLS', '220');
        if (stream_socket_enable_crypto($smtp, true, STREAM_CRYPTO_METHOD_TLS_CLIENT) !== true) {
            throw new RuntimeException("the mail server $host offers TLS but it cannot be begun");
        }
        $offers = $say('EHLO menschlichkeit.localhost', '250');
    }
    if (stripos($offers, 'AUTH') !== false && (settings()['SMTP_USER'] ?? '') !== '') {
        $say('AUTH PLAIN ' . base64_encode("\0" . setting('SMTP_USER') . "\0" . setting('SMTP_PASS')), '235');
    }
    $say("MAIL FROM:<$from>", '250');
    $say("RCPT TO:<$to>", '250', '251');
    $say('DATA', '354');
    $head = ["From: <$from>", "To: <$to>", 'Subject: ' . mb_encode_mimeheader($subject, 'UTF-8', 'B'), 'Date: ' . date(DATE_RFC2822)];
    $head[] = 'Message-ID: <' . bin2hex(random_bytes(12)) . '@' . substr((string) strrchr($from, '@'), 1) . '>';
    array_push($head, 'MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: base64');
    $say(implode("\r\n", $head) . "\r\n\r\n" . rtrim(chunk_split(base64_encode($text))) . "\r\n.", '250');
    fwrite($smtp, "QUIT\r\n");
    fclose($smtp);
}

/** The sender of this host's mails: no-reply at the site's own domain. */
function sender(): string
{
    $host = preg_replace('/:\d+$/', '', (string) ($_SERVER['HTTP_HOST'] ?? 'localhost'));
    return "no-reply@$host";
}
