package main

import (
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
)

func TestNumbersAndTimesReadAsPeopleWriteThem(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	cases := []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(int64(1234567)), "1,234,567"}, {count(-1234), "-1,234"}, {count(-123), "-123"},
		{doneOf(0, 0), "0"}, {doneOf(9_999, 10_000), "9,999 of 10,000 (99 %)"}, {doneOf(5, 5), "5 of 5 (100 %)"},
		{octets(0), "0 B"}, {octets(1023), "1023 B"}, {octets(1536), "1.5 KiB"}, {octets(310 << 20), "310 MiB"}, {octets(5 << 50), "5120 TiB"},
		{span(0), "0 s"}, {span(1200 * time.Millisecond), "1.2 s"}, {span(59 * time.Second), "59 s"}, {span(61 * time.Second), "1 min 1 s"},
		{span(5 * time.Minute), "5 min"}, {span(59*time.Minute + 59*time.Second), "59 min"}, {span(3*time.Hour + 12*time.Minute), "3 h 12 min"},
		{span(26 * time.Hour), "26 h"}, {span(49 * time.Hour), "2 days"},
		{when(now, time.Time{}), "–"}, {when(now, now), "now"}, {when(now, now.Add(-time.Minute)), "1 min ago"}, {when(now, now.Add(3*time.Hour)), "in 3 h"},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestSourceURLsSayHowTheConnectionIsProtected(t *testing.T) {
	cases := []struct {
		text       string
		withoutTLS bool
		want       account.Source
		user       string
	}{
		{"imaps://Imap.Old.Example", false, account.Source{Host: "imap.old.example", Port: 993, TLS: account.TLSImplicit}, ""},
		{"imap://imap.old.example/", false, account.Source{Host: "imap.old.example", Port: 143, TLS: account.TLSStartTLS}, ""},
		{"imaps://anna%40example.org@[2001:db8::1]:1993", false, account.Source{Host: "2001:db8::1", Port: 1993, TLS: account.TLSImplicit}, "anna@example.org"},
		{"imap://127.0.0.1:1143", true, account.Source{Host: "127.0.0.1", Port: 1143, TLS: account.TLSNone}, ""},
	}
	for _, c := range cases {
		got, user, err := parseSourceURL(c.text, c.withoutTLS)
		if err != nil || got != c.want || user != c.user {
			t.Errorf("%s: got %+v %q %v", c.text, got, user, err)
		}
	}
}

func TestSourceURLsThatCannotBeMeantAreRefusedWithoutShowingThem(t *testing.T) {
	for _, text := range []string{
		"", "imap.old.example", "imaps://", "pop3://h", "imaps://h:0", "imaps://h:99999", "imaps://h/INBOX", "imaps://h?x=1",
		"imaps://user:canary@h", "imaps://canary:canary@", "imaps://user:can%ary@h",
	} {
		_, _, err := parseSourceURL(text, false)
		if err == nil {
			t.Errorf("%s: accepted", text)
		} else if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "can%ary") {
			t.Errorf("S1: %s shown in %q", text, err)
		}
	}
	if _, _, err := parseSourceURL("imaps://h", true); err == nil {
		t.Error("imaps without TLS was accepted")
	}
}
