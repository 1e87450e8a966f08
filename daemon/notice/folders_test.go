package notice

import (
	"bytes"
	"errors"
	"io"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailstork/daemon/account"
)

var (
	annas = account.Account{Address: "anna@example.org", PasswordHash: "{ARGON2ID}salt"}
	berts = account.Account{Address: "bert@example.org", PasswordHash: "{ARGON2ID}salt"}
)

func newFolders(t *testing.T) *Folders { return &Folders{Dir: filepath.Join(t.TempDir(), "notice")} }

func put(t *testing.T, f *Folders, a account.Account, at time.Time, copied int) {
	t.Helper()
	l := example("de", Waiting)
	l.At, l.Facts.Copied = at, copied
	if err := f.Put(a, l); err != nil {
		t.Fatal(err)
	}
}

func inbox(t *testing.T, f *Folders, a account.Account) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.Path(a), "inbox"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAFolderHoldsOneLetterThatEveryoneWhoKnowsItsNameMayRead(t *testing.T) {
	umask := syscall.Umask(0o077) // that of the unit
	defer syscall.Umask(umask)
	f := newFolders(t)
	if f.Has(annas) {
		t.Error("there is a letter before one was written")
	}
	put(t, f, annas, at, 100)
	text := inbox(t, f, annas)
	m, err := mail.ReadMessage(bytes.NewReader(text[bytes.IndexByte(text, '\n')+1:]))
	if err != nil || !bytes.HasPrefix(text, []byte("From mailstork Sun Nov 22 04:05:06 2026\n")) || bytes.Contains(text, []byte("\r")) {
		t.Fatalf("got %v, %q", err, text)
	}
	for name, want := range map[string]string{"X-Imapbase": "1 1795320306", "X-Uid": "1795320306", "Content-Language": "de", "Message-Id": MessageID("anna@example.org", 1795320306)} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	_, body, _ := bytes.Cut(text, []byte("\n\n"))
	if got := m.Header.Get("Content-Length"); got == "" || !f.Has(annas) {
		t.Errorf("Content-Length %q of %d", got, len(body))
	}
	for path, want := range map[string]os.FileMode{f.Dir: 0o711, f.Path(annas): 0o755, filepath.Join(f.Path(annas), "inbox"): 0o644, filepath.Join(f.Path(annas), "folders"): 0o755} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %o", path, info.Mode(), err, want)
		}
	}
	entries, err := os.ReadDir(f.Path(annas))
	if err != nil || len(entries) != 2 {
		t.Errorf("beside the letter there are %v, %v", entries, err)
	}
}

func TestAnotherLetterHasAHigherUIDWhateverTheClockSays(t *testing.T) {
	f := newFolders(t)
	put(t, f, annas, at, 100)
	for i, next := range []time.Time{at.Add(time.Hour), at.Add(time.Minute), at} {
		before := lastUID(f.Path(annas))
		put(t, f, annas, next, 200+i)
		if now := lastUID(f.Path(annas)); now <= before {
			t.Errorf("after %d came %d", before, now)
		}
		if text := string(inbox(t, f, annas)); strings.Count(text, "Message-ID:") != 1 {
			t.Errorf("got %s", text)
		}
	}
}

func TestNamesOfFoldersTellNothingAndBelongToOneAccount(t *testing.T) {
	f := newFolders(t)
	other := annas
	other.PasswordHash = "{ARGON2ID}other"
	names := map[string]bool{f.Path(annas): true, f.Path(berts): true, f.Path(other): true}
	if len(names) != 3 {
		t.Errorf("two accounts share one of %v", names)
	}
	for name := range names {
		if base := filepath.Base(name); len(base) != 32 || strings.Contains(base, "anna") {
			t.Errorf("a name is %q", base)
		}
	}
}

func TestWhatNobodyWaitsForIsEndedAndRemoved(t *testing.T) {
	f := newFolders(t)
	if paths, err := f.All(); err != nil || len(paths) > 0 {
		t.Errorf("without any folder: %v, %v", paths, err)
	}
	put(t, f, annas, at, 1)
	put(t, f, berts, at, 1)
	want := []string{f.Path(annas), f.Path(berts)}
	slices.Sort(want)
	if paths, err := f.All(); err != nil || !slices.Equal(paths, want) {
		t.Errorf("got %v, %v", paths, err)
	}
	before, uid := inbox(t, f, berts), lastUID(f.Path(berts))
	for range 2 {
		if err := f.End(f.Path(berts)); err != nil {
			t.Fatal(err)
		}
		want := strings.Replace(string(before), "X-IMAPbase: 1 ", "X-IMAPbase: 2 ", 1)
		if got := string(inbox(t, f, berts)); got != want || lastUID(f.Path(berts)) != uid {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for range 2 {
		if err := errors.Join(f.Remove(f.Path(berts)), f.End(f.Path(berts))); err != nil || f.Has(berts) || !f.Has(annas) {
			t.Error(err)
		}
	}
}

// A session that waits for something new watches the file that it knows.
func TestWhoWatchesAFolderIsWoken(t *testing.T) {
	f := newFolders(t)
	put(t, f, annas, at, 1)
	for _, change := range []func(){func() { put(t, f, annas, at, 2) }, func() { must(t, f.End(f.Path(annas))) }} {
		watched, err := os.Open(filepath.Join(f.Path(annas), "inbox"))
		must(t, err)
		before, err := io.ReadAll(watched)
		must(t, err)
		change()
		more, err := io.ReadAll(watched)
		if must(t, err, watched.Close()); string(more) != "\n" || bytes.Equal(inbox(t, f, annas), before) {
			t.Errorf("the old file has %q more", more)
		}
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestFoldersThatNobodyCanComeToAreNotUsable(t *testing.T) {
	f := newFolders(t)
	for mode, usable := range map[os.FileMode]bool{0o755: true, 0o711: true, 0o750: false} {
		if err := os.Chmod(filepath.Dir(f.Dir), mode); err != nil {
			t.Fatal(err)
		}
		if err := f.Usable(); (err == nil) != usable {
			t.Errorf("%o: %v", mode, err)
		}
	}
}
