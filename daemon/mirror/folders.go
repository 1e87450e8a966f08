package mirror

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"mailstork/daemon/mirror/wire"
)

const inbox = "INBOX"

// maxPathOctets is for Maildir++, which keeps a whole path as one file name of at most 255 octets.
const maxPathOctets = 220

// Names is what the folder map is made from.
type Names struct {
	Source      []wire.Folder
	Destination []wire.Folder
	Namespace   wire.Namespace    // of the destination
	Kept        map[string]string // source raw → destination raw, as the ledger has it: never changed
	// Wanted are the places that an admin gave: source raw → path here. Only they may be shared, with one another
	// and with any other folder.
	Wanted map[string][]string
	Rest   string // source raw of the folder of all mail of which only the rest is copied: what is archived
}

// MapFolders finds a place for every source folder: source raw name → destination raw name. It is total, no two
// folders share a place unless an admin wants it, and Dovecot accepts every name. Special folders come first, then the inbox's children and
// everything else under its own name. It is pure, and its result does not depend on the order of the listings.
func MapFolders(in Names) map[string]string {
	m := &folderMap{
		in: in, result: map[string]string{}, paths: map[string][]string{}, taken: map[string]bool{fold(inbox): true},
		existing: map[string][]string{}, given: map[string]bool{}, spelled: map[string]string{},
	}
	m.separator = in.Namespace.Separator
	if m.separator == 0 {
		m.separator = '/'
	}
	for _, f := range in.Destination {
		m.existing[key(f.Name)] = f.Name
		m.spell(f.Name)
	}
	m.keep()
	m.placeRoles()
	for _, f := range sorted(in.Source) {
		if _, done := m.result[f.Raw]; !done && m.in.Wanted[f.Raw] == nil {
			m.give(f.Raw, m.placeFor(f.Name))
		}
	}
	m.want()
	return m.result
}

type folderMap struct {
	in        Names
	separator byte
	result    map[string]string
	paths     map[string][]string // key of a source path → destination path
	taken     map[string]bool     // keys of destination paths
	existing  map[string][]string // key of a destination path → its spelling there
	given     map[string]bool     // the values of result
	spelled   map[string]string   // key of a destination path → the spelling of its last part
}

// key identifies a path regardless of case: two folders that differ in case only confuse mail programs.
func key(path []string) string { return fold(strings.Join(path, "\x00")) }

// exactKey identifies a path at the source, where case may count.
func exactKey(path []string) string { return strings.Join(path, "\x00") }

func sorted(folders []wire.Folder) []wire.Folder {
	return slices.SortedFunc(slices.Values(folders), func(a, b wire.Folder) int {
		return cmp.Or(cmp.Compare(len(a.Name), len(b.Name)), slices.Compare(a.Name, b.Name), cmp.Compare(a.Raw, b.Raw))
	})
}

// keep takes over what the ledger has.
func (m *folderMap) keep() {
	for source, destination := range m.in.Kept {
		if m.in.Wanted[source] != nil {
			continue
		}
		m.result[source], m.given[destination] = destination, true
		m.taken[key(m.split(destination))] = true
		m.spell(m.split(destination))
	}
	for _, f := range m.in.Source {
		if destination, kept := m.in.Kept[f.Raw]; kept && m.in.Wanted[f.Raw] == nil {
			m.paths[exactKey(f.Name)] = m.split(destination)
		}
	}
}

// split is the path of a destination folder.
func (m *folderMap) split(raw string) []string {
	if strings.EqualFold(raw, inbox) {
		return []string{inbox}
	}
	parts := strings.Split(strings.TrimPrefix(raw, m.in.Namespace.Prefix), string([]byte{m.separator}))
	for i, part := range parts {
		parts[i] = wire.DecodeName(part)
	}
	return parts
}

func (m *folderMap) give(sourceRaw string, path []string) {
	raw := m.raw(path)
	m.result[sourceRaw], m.given[raw] = raw, true
}

func (m *folderMap) raw(path []string) string {
	if len(path) == 1 && path[0] == inbox {
		return inbox
	}
	parts := make([]string, len(path))
	for i, part := range path {
		parts[i] = wire.EncodeName(part)
	}
	prefix := m.in.Namespace.Prefix
	if path[0] == inbox {
		prefix = "" // "INBOX/Sub" is below the inbox whatever the prefix
	}
	return prefix + strings.Join(parts, string([]byte{m.separator}))
}

// usualNames are those that Debian's Dovecot declares. It lists a special folder only once it exists, so where none is
// listed, the folder is made under the name that will be special.
var usualNames = map[string]string{wire.UseDrafts: "Drafts", wire.UseJunk: "Junk", wire.UseSent: "Sent", wire.UseTrash: "Trash"}

// placeRoles gives each special folder of the source the special folder of the destination.
func (m *folderMap) placeRoles() {
	here := bestByRole(m.in.Destination, func(wire.Folder) bool { return true })
	there := bestByRole(m.in.Source, func(f wire.Folder) bool {
		_, done := m.result[f.Raw]
		return !done && m.in.Wanted[f.Raw] == nil
	})
	for _, role := range slices.Sorted(mapKeys(there)) {
		source, place := there[role], here[role].Name
		if source.Raw == m.in.Rest {
			place = m.archive(here[wire.UseArchive])
		}
		if place == nil && usualNames[role] != "" {
			place = []string{usualNames[role]}
		}
		if place == nil || m.taken[key(place)] {
			continue
		}
		m.take(source.Name, place)
		m.give(source.Raw, place)
	}
}

// archive is the place of what is archived at a source that has no folder for it; nil when it has one by that name.
func (m *folderMap) archive(here wire.Folder) []string {
	place := here.Name
	if place == nil {
		place = []string{"Archive"}
	}
	for _, f := range m.in.Source {
		if f.SpecialUse == wire.UseArchive || key(f.Name) == key(place) {
			return nil
		}
	}
	return place
}

func mapKeys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func bestByRole(folders []wire.Folder, wanted func(wire.Folder) bool) map[string]wire.Folder {
	best, ranks := map[string]wire.Folder{}, map[string]int{}
	for _, f := range sorted(folders) {
		role, rank := roleOf(f)
		if role == "" || !f.Selectable || !wanted(f) {
			continue
		}
		if before, found := ranks[role]; !found || rank < before {
			best[role], ranks[role] = f, rank
		}
	}
	return best
}

func (m *folderMap) take(source, destination []string) {
	m.paths[exactKey(source)] = destination
	m.taken[key(destination)] = true
	m.spell(destination)
}

// spell remembers how a folder here and those above it are written.
func (m *folderMap) spell(path []string) {
	for n := 1; n <= len(path); n++ {
		if k := key(path[:n]); m.spelled[k] == "" {
			m.spelled[k] = path[n-1]
		}
	}
}

// want gives folders the places that an admin wants, in the spelling that other folders have there: last, when all
// others are known.
func (m *folderMap) want() {
	for _, f := range sorted(m.in.Source) {
		wanted := m.in.Wanted[f.Raw]
		if wanted == nil {
			continue
		}
		var place []string
		for _, part := range wanted {
			place = append(place, m.clean(part))
			if len(place) == 1 && strings.EqualFold(place[0], inbox) {
				place[0] = inbox
			} else if there := m.spelled[key(place)]; there != "" {
				place[len(place)-1] = there
			}
		}
		place = m.shorten(place, "wanted "+exactKey(wanted))
		m.spell(place)
		m.result[f.Raw] = m.raw(place)
	}
}

// placeFor is the place of a folder. Listings of broken servers name a folder twice; the second gets its own place.
func (m *folderMap) placeFor(path []string) []string {
	if len(path) == 0 {
		path = []string{""}
	}
	if place := m.place(path); !m.given[m.raw(place)] {
		return place
	}
	return m.newPlace(path)
}

// place finds the destination path of a source path, which need not be a folder of its own: below its parent's place.
func (m *folderMap) place(path []string) []string {
	if place, done := m.paths[exactKey(path)]; done {
		return place
	}
	if len(path) == 1 && path[0] == inbox {
		m.take(path, path)
		return path
	}
	return m.newPlace(path)
}

func (m *folderMap) newPlace(path []string) []string {
	var place []string
	if len(path) > 1 {
		place = slices.Clone(m.place(path[:len(path)-1]))
	}
	id := exactKey(path)
	place = m.unique(m.shorten(append(place, m.clean(path[len(path)-1])), id), id)
	m.take(path, place)
	return place
}

// unique changes the last part of a path until nobody has it. A folder that is there in another spelling is meant.
func (m *folderMap) unique(path []string, id string) []string {
	last := path[len(path)-1]
	for n := 2; ; n++ {
		if k := key(path); !m.taken[k] {
			if there, found := m.existing[k]; found {
				return there
			}
			return path
		}
		path = append(slices.Clone(path[:len(path)-1]), last+"-"+strconv.Itoa(n))
		path = m.shorten(path, id+strconv.Itoa(n))
	}
}

// clean makes one part of a name acceptable to Dovecot (measured on 2.3.19 with Maildir++): neither separator of any
// layout, no control characters, no "~" at the start, not empty.
func (m *folderMap) clean(part string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == '/' || r == rune(m.separator) || r == '.' && m.separator == '/':
			return '_'
		}
		return r
	}, strings.ToValidUTF8(part, string(utf8.RuneError)))
	if clean == "" || clean[0] == '~' {
		return "_" + strings.TrimPrefix(clean, "~")
	}
	return clean
}

// shorten makes a path fit: its end becomes one part that ends in a hash of its origin.
func (m *folderMap) shorten(path []string, origin string) []string {
	if len(m.raw(path)) <= maxPathOctets {
		return path
	}
	sum := sha256.Sum256([]byte(origin))
	mark := "-" + hex.EncodeToString(sum[:6])
	keep := path[:0:0]
	for _, part := range path[:len(path)-1] {
		if len(m.raw(append(slices.Clone(keep), part))) > maxPathOctets/2 {
			break
		}
		keep = append(keep, part)
	}
	rest := []rune(strings.Join(path[len(keep):], "_"))
	rest = rest[:min(len(rest), maxPathOctets)]
	for {
		short := append(slices.Clone(keep), string(rest)+mark)
		if len(m.raw(short)) <= maxPathOctets {
			return short
		}
		rest = rest[:len(rest)-1]
	}
}
