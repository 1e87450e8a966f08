# The site as it is before mailstork comes: a source with two people's mail, Dovecot, Postfix.
mkdir -p /srv/source/state /srv/source/mail /var/vmail
cp /srv/files/source.conf /srv/source/dovecot.conf
cp /srv/files/source.service /run/systemd/system/source.service
printf '%s\n' 'anna@example.org:{PLAIN}anna-old-password' 'bob@example.org:{PLAIN}bob-old-password' >/srv/source/passwd
for person in anna bob; do
    for folder in "" .Work; do
        maildir=/srv/source/mail/$person@example.org/Maildir/$folder
        mkdir -p "$maildir/cur" "$maildir/new" "$maildir/tmp"
        for i in 1 2 3; do
            printf 'Message-ID: <%s%s.%s@old.example>\nDate: Sat, 21 Nov 2026 10:0%s:00 +0000\nFrom: a@old.example\nSubject: Letter %s\n\nText.\n' \
                "$person" "$folder" "$i" "$i" "$i" >"$maildir/cur/160000000$i.M1.old:2,S"
        done
    done
done
chown -R 5000:5000 /srv/source/mail /var/vmail
cp /srv/files/site.conf /etc/dovecot/local.conf
touch /etc/postfix/vmailbox /etc/postfix/virtual
postconf -e compatibility_level=3.6 myhostname=mx.example.org mydestination=localhost inet_interfaces=loopback-only \
    inet_protocols=ipv4 virtual_mailbox_domains=example.org virtual_transport=lmtp:inet:127.0.0.1:24 \
    virtual_mailbox_maps=texthash:/etc/postfix/vmailbox lmtp_host_lookup=native
printf '%s\n' 'anna@example.org known' 'bob@example.org known' >/etc/postfix/vmailbox
systemctl daemon-reload
systemctl restart source dovecot postfix
