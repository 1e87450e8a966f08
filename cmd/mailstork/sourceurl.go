package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"mailstork/daemon/account"
)

// parseSourceURL reads imaps://[USER@]HOST[:PORT] (TLS) or imap://… (STARTTLS, mandatory; without any TLS when
// withoutTLS is set). The user may be percent-encoded and is empty when none is given. Errors never show the URL: people
// paste passwords into it, and those are refused (S1).
func parseSourceURL(text string, withoutTLS bool) (source account.Source, user string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return source, "", errors.New("the source is not of the form imaps://HOST or imap://HOST:PORT")
	}
	if _, has := u.User.Password(); has {
		return source, "", errors.New("the source holds a password: it would stay in the shell's history and in the list of processes")
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return source, "", errors.New("the source goes on after host and port")
	}
	source = account.Source{Host: strings.ToLower(u.Hostname()), TLS: account.TLSImplicit, Port: 993}
	switch {
	case u.Scheme == "imaps" && !withoutTLS:
	case u.Scheme == "imap" && !withoutTLS:
		source.TLS, source.Port = account.TLSStartTLS, 143
	case u.Scheme == "imap":
		source.TLS, source.Port = account.TLSNone, 143
	case u.Scheme == "imaps":
		return source, "", errors.New("imaps:// is TLS from the first octet; without TLS write imap://")
	default:
		return source, "", fmt.Errorf("%q is not a way to reach a source: write imaps:// (TLS) or imap:// (STARTTLS)", u.Scheme)
	}
	if port := u.Port(); port != "" {
		if source.Port, err = strconv.Atoi(port); err != nil {
			return source, "", errors.New("the source's port is not a number")
		}
	}
	return source, u.User.Username(), source.Check()
}
