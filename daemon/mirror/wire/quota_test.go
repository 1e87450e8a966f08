package wire_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/mirror/wire/wiretest"
	"mailstork/daemon/secret"
)

func TestRFC9208QuotaIsReadOrNotKnown(t *testing.T) {
	for _, c := range []struct {
		name, capability, reply string
		want                    []wire.QuotaRoot
	}{
		{"as Dovecot 2.3.19 tells it", "QUOTA", "* QUOTAROOT INBOX \"User quota\"\r\n* QUOTA \"User quota\" (STORAGE 5 1024)\r\n" + statusOK,
			[]wire.QuotaRoot{{Name: "User quota", Octets: 5 << 10, OctetsLimit: 1 << 20, MessagesMax: -1}}},
		{"two roots, one for messages", "QUOTA", "* QUOTA a (MESSAGE 3 100 STORAGE 0 7)\r\n* QUOTA \"\" (X-ANNOTATION 1 2)\r\n" + statusOK,
			[]wire.QuotaRoot{{Name: "a", OctetsLimit: 7 << 10, Messages: 3, MessagesMax: 100}, {OctetsLimit: -1, MessagesMax: -1}}},
		{"no limit", "QUOTA", "* QUOTAROOT INBOX\r\n" + statusOK, nil},
		{"absurd numbers are no limit", "QUOTA", "* QUOTA a (STORAGE 1 9999999999999999999 MESSAGE x 3)\r\n" + statusOK,
			[]wire.QuotaRoot{{Name: "a", OctetsLimit: -1, MessagesMax: -1}}},
		{"a refusal", "QUOTA", "TAG NO not now\r\n", nil},
		{"a server without it is not asked", "", "TAG BAD what\r\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := wiretest.Start(t, wiretest.Script{Capabilities: c.capability, Replies: map[string]string{"GETQUOTAROOT": c.reply}})
			conn, err := wire.Dial(ctx(t), wire.Options{Address: srv.Address, IdleTimeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			if err := conn.Login(ctx(t), wire.Login{User: "anna", Password: secret.FromString("x")}); err != nil {
				t.Fatal(err)
			}
			before := len(srv.Lines())
			got, err := conn.Quota(ctx(t), "INBOX")
			if err != nil || conn.Err() != nil {
				t.Fatal(err, conn.Err())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if asked := len(srv.Lines()) > before; asked != (c.capability != "") {
				t.Errorf("asked: %v", asked)
			}
		})
	}
}

func TestRFC8438SizesComeForWhatTheServerTells(t *testing.T) {
	conn, _ := open(t, wiretest.Script{Capabilities: "STATUS=SIZE", Replies: map[string]string{
		`STATUS "inbox"`: "* STATUS Inbox (SIZE 77)\r\n" + statusOK, `STATUS "My Sent"`: "* STATUS \"My Sent\" (SIZE 5000000000)\r\n" + statusOK,
		`STATUS "Odd"`: "* STATUS Odd (SIZE many)\r\n" + statusOK, `STATUS "Shut"`: "TAG NO [NOPERM] no\r\n",
	}})
	got, err := conn.Sizes(ctx(t), []string{"inbox", "My Sent", "Odd", "Shut", "caf\xe9"})
	if diff := cmp.Diff(map[string]int64{"INBOX": 77, "My Sent": 5_000_000_000}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	conn, srv := open(t, wiretest.Script{})
	if got, err := conn.Sizes(ctx(t), []string{"INBOX"}); err != nil || len(got) > 0 {
		t.Errorf("a server that tells no sizes: %v %v, %q", got, err, srv.Lines())
	}
}
