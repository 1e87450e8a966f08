package notice

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

	// uidValidity, and the one above it, are below that of every inbox that Dovecot makes, which takes the time for it: a mail
	// program that finds another folder under the same name must see a higher number (RFC 9051 §2.3.1.1).
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
	return replace(path, l.mbox(text))
}

// replace puts a whole file in the place of the old one, and wakes the sessions that wait for something new: they watch the
// old one, which gets an empty line more.
func replace(path string, content []byte) error {
	file := filepath.Join(path, letterFile)
	temporary := filepath.Join(path, "."+letterFile+".new")
	if err := errors.Join(os.WriteFile(temporary, content, letterMode), os.Chmod(temporary, letterMode)); err != nil {
		return err
	}
	old, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, os.ErrNotExist) {
		return os.Rename(temporary, file)
	}
	if err != nil {
		return err
	}
	if err = os.Rename(temporary, file); err == nil {
		_, err = old.WriteString("\n")
	}
	return errors.Join(err, old.Close())
}

// validityField is the field of an mbox that has its UIDVALIDITY, up to the UID.
func validityField(validity int) []byte { return fmt.Appendf(nil, "X-IMAPbase: %d ", validity) }

// mbox is the letter as the only one of a folder, with the fields in which Dovecot keeps what IMAP asks for.
func (l Letter) mbox(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	_, body, _ := bytes.Cut(text, []byte("\n\n"))
	var out bytes.Buffer
	fmt.Fprintf(&out, "From mailstork %s\n", l.At.UTC().Format(time.ANSIC))
	fmt.Fprintf(&out, "%s%010d\n%s%d\nStatus: O\nContent-Length: %d\n", validityField(uidValidity), l.Revision, uidField, l.Revision, len(body))
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

// All returns the paths of the folders that there are.
func (f *Folders) All() (paths []string, err error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("looking for notices: %w", err)
	}
	for _, e := range entries {
		paths = append(paths, filepath.Join(f.Dir, e.Name()))
	}
	return paths, nil
}

// End disconnects whoever has a folder open: Dovecot ends a session whose folder has another UIDVALIDITY than before. One
// that merely waits for something new looks again when it is woken, or after half a minute; it would never notice that
// the folder is gone. Called again it does nothing.
func (f *Folders) End(path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, err := os.ReadFile(filepath.Join(path, letterFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err == nil && bytes.Contains(text, validityField(uidValidity)):
		err = replace(path, bytes.Replace(text, validityField(uidValidity), validityField(uidValidity+1), 1))
	}
	if err != nil {
		return fmt.Errorf("ending a notice: %w", err)
	}
	return nil
}

// Remove removes a folder.
func (f *Folders) Remove(path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("removing a notice: %w", err)
	}
	return nil
}
