package corpus

import (
	"fmt"
	"strings"
)

func texts() []Kind {
	return []Kind{
		kind("mbox line first", "From ada@example.net Sun Mar  4 05:06:07 2018\r\n"+head("mbox line first")+"\r\nHello.\r\n"),
		kind("quoted mbox line first", ">From ada@example.net Sun Mar  4 05:06:07 2018\r\n"+head("quoted mbox line first")+"\r\nHello.\r\n"),
		body("From at the beginning of lines", "From here on\r\n>From there on\r\n\r\nFrom ada@example.net Sun Mar  4 05:06:07 2018\r\n"),
		body("lines of dots", ".\r\n..\r\n...\r\n.x\r\n"),
		body("ends with a dot", "Hello.\r\n.\r\n"),
		body("looks like IMAP", ")\r\na1 LOGOUT\r\n{12}\r\n* BYE\r\n* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\na1 OK\r\n"),
		body("looks like a literal at its end", "tail {100000}\r\n"),
		body("line of a megabyte", strings.Repeat("0123456789abcdef", 1<<16)+"\r\n"),
		body("lines of 998 octets and more", strings.Repeat("a", 998)+"\r\n"+strings.Repeat("b", 999)+"\r\n"+strings.Repeat("c", 1001)+"\r\n"),
		body("yEnc", "=ybegin line=128 size=6 name=x.bin\r\n\x8a\x8b\x00\x3d\x40\x0a\x8c\r\n=yend size=6\r\n"),
		body("uuencode", "begin 644 x.txt\r\n#0V%T\r\n`\r\nend\r\n"),
		body("a hundred thousand short lines", strings.Repeat("x\r\n", 100_000)),
	}
}

func structures() []Kind {
	multipart := func(name, boundary, parts string) Kind {
		return kind(name, head(name)+"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="+boundary+"\r\n\r\n"+parts)
	}
	var deep, tail strings.Builder
	for i := range 100 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		tail.WriteString(fmt.Sprintf("--b%d--\r\n", 99-i))
	}
	const part = "Content-Type: text/plain\r\n\r\nHello.\r\n"
	return []Kind{
		kind("nested a hundred deep", head("nested a hundred deep")+"MIME-Version: 1.0\r\n"+deep.String()+part+tail.String()),
		kind("letters in letters, fifty deep", strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 50)+head("letters in letters")+"\r\nHello.\r\n"),
		multipart("boundary that never comes", "never", "Hello.\r\n"),
		multipart("boundary that never ends", "x", "--x\r\n"+part),
		multipart("empty boundary", `""`, "--\r\n"+part+"----\r\n"),
		multipart("boundary with odd characters", `"=_?('+,-./:) x"`, "--=_?('+,-./:) x\r\n"+part+"--=_?('+,-./:) x--\r\n"),
		multipart("text behind the last boundary", "x", "before\r\n--x\r\n"+part+"--x--\r\nbehind\r\n--x\r\nagain\r\n"),
		multipart("attachment of no octets", "x", "--x\r\nContent-Type: application/pdf; name=empty.pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n\r\n--x--\r\n"),
		multipart("a thousand parts", "x", strings.Repeat("--x\r\n"+part, 1000)+"--x--\r\n"),
		multipart("winmail.dat", "x", "--x\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\neJ8+IgAAAAABAAEA\r\n--x--\r\n"),
		multipart("file name from another world", "x", "--x\r\nContent-Type: text/plain; name=\"..\\..\\x\x00.exe\"; name*0*=utf-8''%E2%82; name*9=x\r\n\r\nHello.\r\n--x--\r\n"),
		kind("partial", head("partial")+"Content-Type: message/partial; id=\"x\"; number=2; total=3\r\n\r\nthe second part of something\r\n"),
		kind("Content-Type of nonsense", head("Content-Type of nonsense")+"Content-Type: ;;;/ ; = \"\r\nContent-Type: text\r\n\r\nHello.\r\n"),
		kind("Content-Length that lies", head("Content-Length that lies")+"Content-Length: 99999\r\nLines: 0\r\n\r\nHello.\r\n"),
	}
}

// signed are messages whose signature breaks with the first octet that changes.
func signed() []Kind {
	const text = "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nTrailing space \r\nTab\t\r\n-- \r\nAda \xe8\r\n"
	sign := func(name, protocol, part string) Kind {
		return kind(name, head(name)+"MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\""+protocol+"\"; micalg=sha-256;\r\n\tboundary=\"----SIG\"\r\n\r\n"+
			"This is signed.\r\n\r\n------SIG\r\n"+text+"\r\n------SIG\r\n"+part+"\r\n\r\n------SIG--\r\n\r\n")
	}
	const p7s = "Content-Type: application/x-pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n\r\nMIIGPwYJKoZIhvcNAQcCoIIGMDCCBiwCAQExDTALBglghkgBZQMEAgE="
	receipt := "X-Ricevuta: avvenuta-consegna\r\nX-TipoRicevuta: completa\r\nX-Riferimento-Message-ID: <original@example.net>\r\nX-Trasporto: posta-certificata\r\n"
	pec := sign("PEC receipt", "application/x-pkcs7-signature", p7s)
	pec.Content = []byte(strings.Replace(string(pec.Content), "MIME-Version", receipt+"MIME-Version", 1))
	pec.Content = []byte(strings.Replace(string(pec.Content), text, "Content-Type: application/xml; name=\"daticert.xml\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<?xml version=\"1.0\"?><postacert tipo=\"avvenuta-consegna\" errore=\"nessuno\"/>  \n", 1))
	return []Kind{
		sign("S/MIME signature", "application/x-pkcs7-signature", p7s),
		sign("PGP/MIME signature", "application/pgp-signature", "Content-Type: application/pgp-signature\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\niQEzBAEBCAAd\r\n=abcd\r\n-----END PGP SIGNATURE-----"),
		pec,
		body("PGP in the text", "-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n- -- dashes \r\nFrom here\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\niQEz\r\n-----END PGP SIGNATURE-----\r\n"),
		header("DKIM signature over everything", "DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.net; s=k;\r\n\th=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=abc=\r\n"),
	}
}

// traces are what other servers and programs leave in messages.
func traces() []Kind {
	return []Kind{
		header("UW-IMAP's own fields", "Status: RO\r\nX-Status: AF\r\nX-Keywords: $Forwarded\r\nX-UID: 4711\r\nX-IMAPbase: 1234567890 4711\r\n"),
		kind("folder internal data", "From: Mail System Internal Data <MAILER-DAEMON@old.example>\r\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\nMessage-ID: <1520136367@old.example>\r\nX-IMAP: 1520136367 0000000042 $Forwarded\r\nStatus: RO\r\n\r\nThis text is part of the internal format of your mail folder.\r\n"),
		header("mbsync's and imapsync's fields", "X-TUID: AbCdEf123456\r\nX-OfflineIMAP: 1\r\nX-imapsync: 1\r\n"),
		header("Exchange's fields", "X-MS-Exchange-Organization-AuthAs: Internal\r\nThread-Index: AQHTs4b=\r\nX-MS-Has-Attach: \r\n"),
		header("Gmail's fields", "X-GM-THRID: 1594046538372\r\nX-Gmail-Labels: =?UTF-8?Q?Importanti,Posta_in_arrivo?=\r\n"),
		header("Thunderbird's fields", "X-Mozilla-Status: 0009\r\nX-Mozilla-Status2: 00800000\r\nX-Mozilla-Keys:                 \r\n"),
	}
}

// lengths are those at which buffers end, with what matters standing across the edge.
func lengths() (all []Kind) {
	fill := func(name string, size int, edge string) Kind {
		start := head(name) + "\r\n"
		text := start + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n", size/64+2)
		return kind(name, text[:size-1]+edge+"the end\r\n")
	}
	for _, size := range []int{512, 1024, 4095, 4096, 4097, 8191, 8192, 8193, 16384, 32767, 32768, 65535, 65536, 65537, 131072, 1 << 20} {
		exact := fill(fmt.Sprintf("exactly %d octets", size), size, "")
		exact.Content = exact.Content[:size]
		all = append(all, exact)
	}
	for _, size := range []int{4096, 8192, 32768, 65536, 131072} {
		all = append(all, fill(fmt.Sprintf("CR LF across %d", size), size, "\r\n"), fill(fmt.Sprintf("CR without LF across %d", size), size, "\r"),
			fill(fmt.Sprintf("NUL across %d", size), size, "\x00\x00"))
	}
	return all
}
