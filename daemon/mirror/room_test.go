package mirror

import (
	"strings"
	"testing"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

func TestRoomIsShortOnlyWhenALimitIsTooSmall(t *testing.T) {
	root := func(octets, limit, messages, most int64) wire.QuotaRoot {
		return wire.QuotaRoot{Octets: octets, OctetsLimit: limit, Messages: messages, MessagesMax: most}
	}
	for _, c := range []struct {
		name             string
		roots            []wire.QuotaRoot
		octets, messages int64
	}{
		{"no limit", nil, 0, 0},
		{"it fits to the octet", []wire.QuotaRoot{root(500, 1500, 0, -1)}, 0, 0},
		{"an octet is missing", []wire.QuotaRoot{root(501, 1500, 0, -1)}, 1, 0},
		{"more is there than is allowed", []wire.QuotaRoot{root(9000, 1500, 0, -1)}, 1000, 0},
		{"too many messages", []wire.QuotaRoot{root(0, -1, 8, 10)}, 0, 8},
		{"the smaller of two limits counts", []wire.QuotaRoot{root(0, 900, 0, -1), root(0, 400, 0, -1)}, 600, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := roomFor(c.roots, 10, 1000); got.octets != c.octets || got.messages != c.messages {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestKeywordsPastTheLimitAreCountedMostUsedFirst(t *testing.T) {
	row := func(fate ledger.Fate, flags string) ledger.Message {
		return ledger.Message{Stage: ledger.Confirmed, Fate: fate, Flags: flags}
	}
	rows := []ledger.Message{row(ledger.Copied, `\Seen late`), row(ledger.Copied, "Later late"), row(ledger.Copied, "LATE"), row(ledger.Copied, "early"), row(ledger.Deleted, "late")}
	got := limitsInWords([]string{"Late", "later", "never"}, rows)
	if !strings.HasSuffix(got, "on 3 messages: Late (3), later (1)") {
		t.Errorf("got %q", got)
	}
	if got := limitsInWords([]string{"never"}, rows); got != "" {
		t.Errorf("nothing is past the limit: %q", got)
	}
	many := make([]string, 12)
	for i := range many {
		many[i] = "k" + string(rune('a'+i))
	}
	if got := limitsInWords(many, []ledger.Message{row(ledger.Copied, strings.Join(many, " "))}); !strings.HasSuffix(got, "kj (1), and 2 more") {
		t.Errorf("got %q", got)
	}
}
