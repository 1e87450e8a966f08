package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mailstork/test/corpus"
	"mailstork/test/site"
)

// verification is what the command says, as JSON; an exit code of 10 is no failure of the test.
type verification struct {
	Messages int `json:"source_messages"`
	Missing  int `json:"missing"`
	Pending  int `json:"pending"`
	Twice    int `json:"twice"`
	HereOnly int `json:"here_only"`
	Folders  []struct {
		Source                             string
		Messages, Here, Elsewhere, Deleted int
	} `json:"folders"`
	Findings []struct {
		Class, Folder, Why string
		MessageID          string `json:"message_id"`
	} `json:"findings"`
}

func (v verification) here() (n int) {
	for _, f := range v.Folders {
		n += f.Here
	}
	return n
}

func verify(t *testing.T, s *site.Site, address string, wantCode int) (v verification) {
	t.Helper()
	stdout, stderr, code := run(t, exec.Command(s.Binary, "--config", s.ConfigFile, "account", "verify", address, "--json"))
	if code != wantCode {
		t.Fatalf("exit code %d, want %d: %s%s", code, wantCode, stdout, stderr)
	}
	must(t, json.Unmarshal([]byte(stdout), &v))
	return v
}

// The whole way, from the command to both servers and back: what was lost behind Dovecot's back is said, and what its
// owner did here is explained.
func TestAccountVerifySaysWhatWasLostAndWhatItsOwnerDid(t *testing.T) { // L1
	s := start(t, func(o *site.Options) { o.Config = map[string]map[string]any{"mirror": {"pass_interval_seconds": 3600}} })
	must(t, corpus.Seed(s.Source, anna, annaPass, corpus.Small()))
	owner := login(t, s, anna, annaPass)
	waitState(t, s, anna, "following")
	if v := verify(t, s, anna, 0); v.Messages != 40 || v.here() != 40 || len(v.Findings) > 0 {
		t.Errorf("after the first pass: %+v", v)
	}

	_, err := owner.Select("INBOX")
	must(t, err)
	uids, err := owner.Search("ALL")
	must(t, err, owner.Create("Kept"), owner.Move("Kept", uids[0]), owner.Delete(uids[1]))
	passes(t, s, anna, 1)
	must(t, s.Source.Deliver("carl@elsewhere.example", letterTo(anna, "later"), anna))
	v := verify(t, s, anna, 0)
	if v.Pending != 1 || v.here() != 38 || v.Folders[0].Elsewhere != 1 || v.Folders[0].Deleted != 1 {
		t.Errorf("after its owner moved one, deleted one and got one at the source: %+v", v)
	}

	files, err := filepath.Glob(filepath.Join(s.Dest.Home(anna), "*", "cur", "*"))
	must(t, err)
	if len(files) == 0 {
		t.Fatal("no message of INBOX is where the test looks")
	}
	must(t, os.Remove(files[0]))
	v = verify(t, s, anna, 10)
	if v.Missing != 1 || v.here() != 37 || len(v.Findings) != 2 || v.Findings[0].Class != "missing" || !strings.Contains(v.Findings[0].Why, "has gone since the last pass") {
		t.Errorf("after a file was removed: %+v", v)
	}
	if _, err := s.CLI("account", "verify", bob); err == nil || !strings.Contains(err.Error(), "there is no account") && !strings.Contains(err.Error(), "nothing of") {
		t.Errorf("verifying somebody who has never logged in: %v", err)
	}
}

func TestCopyVerifiesWhenAsked(t *testing.T) { // L1
	p := startPair(t)
	must(t, corpus.Seed(p.source, anna, oldPass, corpus.Small()))
	stdout, stderr, code := run(t, p.command("--state", p.state, "--verify"))
	if code != 0 || !strings.Contains(stdout, "40 messages at the source, read again on both sides: every one is accounted for.") {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	owner, err := p.dest.Login(anna, newPass)
	must(t, err)
	defer owner.Cut()
	_, err = owner.Select("INBOX")
	must(t, err)
	content, err := owner.Content(1)
	must(t, err)
	_, err = owner.Append("INBOX", nil, corpus.Small().Folders[0].Messages[0].Date, content)
	must(t, err)
	stdout, stderr, code = run(t, p.command("--state", p.state, "--verify"))
	if code != 10 || !strings.Contains(stdout, "twice ") || !strings.Contains(stderr, "1 here twice") {
		t.Errorf("after a copy was doubled: exit code %d, want 10: %s%s", code, stdout, stderr)
	}
}
