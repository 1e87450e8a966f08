package notice

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mailstork/daemon/account"
)

const (
	// Dovecot's mail user is in no group of ours, so that everybody may read what they can name: the names can't be
	// listed, and nobody guesses one.
	dirMode    = 0o711
	folderMode = 0o755
	letterMode = 0o644

	letterFile = "inbox"
	othersDir  = "folders" // where Dovecot looks for all other folders: there are none

	// uidValidity is below that of every inbox that Dovecot makes, which takes the time for it: a mail program that finds
	// another folder under the same name must see a higher number (RFC 9051 §2.3.1.1).
	uidValidity = 1
)

// Folders are those that hold a notice and nothing else, one for each account whose owner has to wait. They are mboxes: one
// file, replaced whole, read by Dovecot without a lock or an index of its own in a place where it can't write. Methods
// may be called by many goroutines.
type Folders struct {
	Dir string
	mu  sync.Mutex
}

// Path is where an account's folder is. The salt in the hash of its password makes the name one that nobody guesses.
func (f *Folders) Path(a account.Account) string {
	sum := sha256.Sum256([]byte("notice folder\x00" + string(a.Address) + "\x00" + a.PasswordHash))
	return filepath.Join(f.Dir, hex.EncodeToString(sum[:16]))
}

// Usable tells whether Dovecot's mail user can come to the folders: it is in no group of ours.
func (f *Folders) Usable() error {
	above := filepath.Dir(f.Dir)
	info, err := os.Stat(above)
	if err == nil && info.Mode().Perm()&0o001 == 0 {
		err = fmt.Errorf("nobody but its group may pass through %s", above)
	}
	return err
}

// Has tells whether there is a letter in an account's folder.
func (f *Folders) Has(a account.Account) bool {
	_, err := os.Stat(filepath.Join(f.Path(a), letterFile))
	return err == nil
}

// Put replaces the letter in an account's folder; its revision becomes the time, or more than the last one's, and is its
// UID, too: also after the folder was lost no mail program shows an old letter for a new one.
func (f *Folders) Put(a account.Account, l Letter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := f.Path(a)
	err := f.makeFolder(path)
	if err == nil {
		l.Revision = max(int(l.At.Unix()), lastUID(path)+1)
		err = l.putInto(path)
	}
	if err != nil {
		return fmt.Errorf("writing the notice of %s: %w", a.Address, err)
	}
	return nil
}

func (f *Folders) makeFolder(path string) error {
	for _, dir := range []struct {
		path string
		mode os.FileMode
	}{{f.Dir, dirMode}, {path, folderMode}, {filepath.Join(path, othersDir), folderMode}} {
		if err := os.Mkdir(dir.path, dir.mode); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if err := os.Chmod(dir.path, dir.mode); err != nil { // whatever our umask is
			return err
		}
	}
	return nil
}

func (l Letter) putInto(path string) error {
	text, err := l.Compose()
	if err != nil {
		return err
	}
	temporary := filepath.Join(path, "."+letterFile+".new")
	err = errors.Join(os.WriteFile(temporary, l.mbox(text), letterMode), os.Chmod(temporary, letterMode))
	if err == nil {
		err = os.Rename(temporary, filepath.Join(path, letterFile))
	}
	return err
}

// mbox is the letter as the only one of a folder, with the fields in which Dovecot keeps what IMAP asks for.
func (l Letter) mbox(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	_, body, _ := bytes.Cut(text, []byte("\n\n"))
	var out bytes.Buffer
	fmt.Fprintf(&out, "From mailstork %s\n", l.At.UTC().Format(time.ANSIC))
	fmt.Fprintf(&out, "X-IMAPbase: %d %010d\n%s%d\nStatus: O\nContent-Length: %d\n", uidValidity, l.Revision, uidField, l.Revision, len(body))
	out.Write(text)
	out.WriteByte('\n')
	return out.Bytes()
}

const uidField = "X-UID: "

// lastUID is that of the letter in a folder; 0 when there is none.
func lastUID(path string) int {
	text, err := os.ReadFile(filepath.Join(path, letterFile))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), uidField)
	number, _, _ := strings.Cut(rest, "\n")
	uid, _ := strconv.Atoi(number) // 0 for a file that is none of ours
	return uid
}

// Remove removes an account's folder. Whoever has it open is disconnected by Dovecot.
func (f *Folders) Remove(a account.Account) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := os.RemoveAll(f.Path(a)); err != nil {
		return fmt.Errorf("removing the notice of %s: %w", a.Address, err)
	}
	return nil
}

// Keep removes all folders but those of the given accounts, while nobody else can be given one. before is called first if
// there is one to remove.
func (f *Folders) Keep(accounts []account.Account, before func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	entries, err := os.ReadDir(f.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing notices: %w", err)
	}
	keep := map[string]bool{}
	for _, a := range accounts {
		keep[filepath.Base(f.Path(a))] = true
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return keep[e.Name()] })
	if len(entries) > 0 {
		if err := before(); err != nil {
			return err
		}
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(f.Dir, e.Name())))
	}
	if err != nil {
		return fmt.Errorf("removing notices: %w", err)
	}
	return nil
}
