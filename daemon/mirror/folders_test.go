package mirror

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/mirror/wire"
	"mailstork/test/testbed"
)

// folder is a listing line: "name" or "name|\Use", written with "/" between its parts.
func folder(line string) wire.Folder {
	name, use, _ := strings.Cut(line, "|")
	f := wire.Folder{Name: strings.Split(name, "/"), SpecialUse: use, Separator: '.', Selectable: true}
	parts := make([]string, len(f.Name))
	for i, part := range f.Name {
		parts[i] = wire.EncodeName(part)
	}
	f.Raw = strings.Join(parts, ".")
	return f
}

func folders(lines ...string) (all []wire.Folder) {
	for _, line := range lines {
		all = append(all, folder(line))
	}
	return all
}

var debianFolders = folders("INBOX", `Drafts|\Drafts`, `Sent|\Sent`, `Trash|\Trash`, `Junk|\Junk`)

func TestMapFolders(t *testing.T) {
	slash := wire.Namespace{Separator: '/'}
	for _, c := range []struct {
		name        string
		source      []wire.Folder
		destination []wire.Folder
		namespace   wire.Namespace
		kept        map[string]string
		want        map[string]string
	}{
		{
			name:   "an ordinary tree keeps its names and gets the separator of the destination",
			source: folders("INBOX", "Work", "Work/2024", "Work/2024/Bills"), namespace: slash,
			want: map[string]string{"INBOX": "INBOX", "Work": "Work", "Work.2024": "Work/2024", "Work.2024.Bills": "Work/2024/Bills"},
		},
		{
			name:   "a destination that keeps everything below its prefix gets it there, except the inbox",
			source: folders("INBOX", "Work", "INBOX/Old"), namespace: wire.Namespace{Prefix: "INBOX.", Separator: '.'},
			want: map[string]string{"INBOX": "INBOX", "Work": "INBOX.Work", "INBOX.Old": "INBOX.Old"},
		},
		{
			name:   "declared special folders meet by their use, whatever their names",
			source: folders("INBOX", `Odeslane|\Sent`, `Kos|\Trash`), destination: debianFolders, namespace: slash,
			want: map[string]string{"INBOX": "INBOX", "Odeslane": "Sent", "Kos": "Trash"},
		},
		{
			name:   "special folders without a declaration are known by their localised names",
			source: folders("INBOX", "Posta inviata", "Bozze", "Papierkorb", "Courrier indésirable"), destination: debianFolders, namespace: slash,
			want: map[string]string{"INBOX": "INBOX", "Posta inviata": "Sent", "Bozze": "Drafts", "Papierkorb": "Trash", "Courrier ind&AOk-sirable": "Junk"},
		},
		{
			name:   "a declared special folder wins over a localised name, which stays an ordinary folder",
			source: folders("INBOX", "Sent", `Gesendet|\Sent`), destination: debianFolders, namespace: slash,
			want: map[string]string{"INBOX": "INBOX", "Gesendet": "Sent", "Sent": "Sent-2"},
		},
		{
			name:   "of two names for one use the more usual wins",
			source: folders("INBOX", "Sent Messages", "Sent"), destination: debianFolders, namespace: slash,
			want: map[string]string{"INBOX": "INBOX", "Sent": "Sent", "Sent Messages": "Sent Messages"},
		},
		{
			name:   "children of a special folder go with it",
			source: folders("INBOX", `Gesendet|\Sent`, "Gesendet/2019"), destination: debianFolders, namespace: slash,
			want: map[string]string{"INBOX": "INBOX", "Gesendet": "Sent", "Gesendet.2019": "Sent/2019"},
		},
		{
			name:   "a special folder that the destination does not list yet gets the name that Dovecot declares",
			source: folders("INBOX", `Gesendet|\Sent`, "Cestino"), destination: folders("INBOX"), namespace: slash,
			want: map[string]string{"INBOX": "INBOX", "Gesendet": "Sent", "Cestino": "Trash"},
		},
		{
			name:   "a special folder that the destination does not have keeps its name",
			source: folders("INBOX", `Archiv|\Archive`), destination: debianFolders, namespace: slash,
			want: map[string]string{"INBOX": "INBOX", "Archiv": "Archiv"},
		},
		{
			name:   "folders below the inbox that are special by name are special",
			source: folders("INBOX", "INBOX/Sent", "INBOX/Friends"), destination: debianFolders, namespace: slash,
			want: map[string]string{"INBOX": "INBOX", "INBOX.Sent": "Sent", "INBOX.Friends": "INBOX/Friends"},
		},
		{
			name:   "folders that differ in case only get a suffix, and so do their children's parents",
			source: folders("INBOX", "Work", "work", "work/a"), namespace: slash,
			want: map[string]string{"INBOX": "INBOX", "Work": "Work", "work": "work-2", "work.a": "work-2/a"},
		},
		{
			name:   "a folder that is here in another spelling is the same folder",
			source: folders("INBOX", "work"), destination: folders("INBOX", "Work"), namespace: slash,
			want: map[string]string{"INBOX": "INBOX", "work": "Work"},
		},
		{
			name:   "what Dovecot can't have in a name is replaced",
			source: []wire.Folder{{Raw: "v1.2", Name: []string{"v1.2"}, Selectable: true}, {Raw: "~x", Name: []string{"~x"}, Selectable: true}, {Raw: "a/b", Name: []string{"a/b"}, Selectable: true}}, namespace: slash,
			want: map[string]string{"v1.2": "v1_2", "~x": "_x", "a/b": "a_b"},
		},
		{
			name:   "a folder that calls itself like the inbox is another folder",
			source: []wire.Folder{folder("INBOX"), {Raw: "INBOX.inbox", Name: []string{"inbox"}, Selectable: true}}, namespace: slash,
			want: map[string]string{"INBOX": "INBOX", "INBOX.inbox": "inbox-2"},
		},
		{
			name:   "nobody but the inbox is kept in the inbox, though the source lists none",
			source: []wire.Folder{{Raw: "Inbox.x", Name: []string{"Inbox"}, Selectable: true}}, namespace: slash,
			want: map[string]string{"Inbox.x": "Inbox-2"},
		},
		{
			name: "a listing that names a folder twice gets two places",
			source: []wire.Folder{
				{Raw: "b", Name: []string{"Work"}, Selectable: true}, {Raw: "a", Name: []string{"Work"}, Selectable: true},
			}, namespace: slash,
			want: map[string]string{"a": "Work", "b": "Work-2"},
		},
		{
			name:   "what the ledger has is never changed, and nobody else gets it",
			source: folders("INBOX", "Work", "Work/a", "Labour"), namespace: slash, kept: map[string]string{"Work": "Labour"},
			want: map[string]string{"INBOX": "INBOX", "Work": "Labour", "Work.a": "Labour/a", "Labour": "Labour-2"},
		},
		{
			name:   "names in other scripts stay as they are",
			source: folders("INBOX", "été & hiver/日本"), namespace: slash,
			want: map[string]string{"INBOX": "INBOX", "&AOk-t&AOk- &- hiver.&ZeVnLA-": "&AOk-t&AOk- &- hiver/&ZeVnLA-"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := MapFolders(Names{Source: c.source, Destination: c.destination, Namespace: c.namespace, Kept: c.kept})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzMapFolders: total, injective, within Dovecot's limits, whatever a source lists in whatever order.
func FuzzMapFolders(f *testing.F) {
	for _, seed := range []string{
		"INBOX\nWork\nwork\nWORK", "a/b/c\na/B/c\nA", "INBOX/INBOX\nINBOX\ninbox", "~\n~~\n.\n..\n/", "\x00\n\xff\xfe\n\x7f",
		strings.Repeat("x/", 40) + "y\n" + strings.Repeat("x/", 40) + "z", strings.Repeat("é", 300) + "\n" + strings.Repeat("é", 301),
		"Sent\nGesendet\nEnviados\nsent\nSent-2\nSent-2-2", "a\na\na", "\n\n", "a//b\na/b", "Sent|x\nSent",
	} {
		f.Add(seed, uint64(1), false)
		f.Add(seed, uint64(7), true)
	}
	f.Fuzz(func(t *testing.T, listing string, order uint64, courier bool) {
		in := Names{Destination: debianFolders, Namespace: wire.Namespace{Separator: '/'}}
		if courier {
			in.Namespace = wire.Namespace{Prefix: "INBOX.", Separator: '.'}
		}
		for _, line := range strings.Split(listing, "\n")[:min(50, strings.Count(listing, "\n")+1)] {
			name := strings.Split(line, "/")
			in.Source = append(in.Source, wire.Folder{Raw: line, Name: name, Selectable: true})
		}
		in.Source = slices.CompactFunc(slices.SortedFunc(slices.Values(in.Source), func(a, b wire.Folder) int { return strings.Compare(a.Raw, b.Raw) }),
			func(a, b wire.Folder) bool { return a.Raw == b.Raw })
		got := MapFolders(in)
		checkMap(t, in, got)

		shuffled := in
		shuffled.Source = slices.Clone(in.Source)
		rand.New(rand.NewPCG(order, 1)).Shuffle(len(shuffled.Source), func(i, j int) {
			shuffled.Source[i], shuffled.Source[j] = shuffled.Source[j], shuffled.Source[i]
		})
		if diff := cmp.Diff(got, MapFolders(shuffled)); diff != "" {
			t.Errorf("the order of the listing matters:\n%s", diff)
		}
		shuffled.Kept = got
		if diff := cmp.Diff(got, MapFolders(shuffled)); diff != "" {
			t.Errorf("a kept map changes:\n%s", diff)
		}
	})
}

func checkMap(t *testing.T, in Names, got map[string]string) {
	t.Helper()
	owner := map[string]string{}
	for _, f := range in.Source {
		raw, ok := got[f.Raw]
		if !ok {
			t.Fatalf("%q has no place", f.Raw)
		}
		if other, taken := owner[fold(raw)]; taken {
			t.Fatalf("%q and %q are both kept in %q", other, f.Raw, raw)
		}
		owner[fold(raw)] = f.Raw
		if len(f.Name) == 1 && f.Name[0] == inbox && raw != inbox {
			t.Errorf("the inbox is kept in %q", raw)
		}
		separator := string([]byte{in.Namespace.Separator})
		for _, part := range strings.Split(strings.TrimPrefix(raw, in.Namespace.Prefix), separator) {
			if part == "" || part[0] == '~' || strings.ContainsFunc(part, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q is kept in %q, which Dovecot does not take", f.Raw, raw)
			}
		}
		if len(raw) > maxPathOctets || !utf8.ValidString(raw) {
			t.Errorf("%q is kept in %q, which is too long", f.Raw, raw)
		}
	}
}

// TestDovecotTakesEveryMappedName creates the places of nasty names on a real server, in both of its layouts.
func TestDovecotTakesEveryMappedName(t *testing.T) {
	testbed.Need(t, "dovecot")
	nasty := []string{
		"INBOX", "~home", "a/~b", "..", "../x", ".hidden", "a.b", `back\slash`, `quo"te`, "per%cent", "st*r", " spaces ", "tab\there",
		"R&D", "été", "日本語/フォルダ", "cur", "new", "tmp", "dovecot", "INBOX/INBOX", "a//b", "line\nbreak", "nul\x00", "del\x7f", "&AOk-",
		strings.Repeat("long ", 80), strings.Repeat("é", 120), strings.Repeat("d/", 30) + "deep", strings.Repeat("e/", 99) + "deep", strings.Repeat("x/", 15) + "y", "Trash", "trash", "💌",
		strings.Repeat(strings.Repeat("p", 30)+"/", 10) + "q",
	}
	var source []wire.Folder
	for _, name := range nasty {
		source = append(source, wire.Folder{Raw: name, Name: strings.Split(name, "/"), Selectable: true})
	}
	for _, separator := range []string{"/", "."} {
		t.Run("separator "+separator, func(t *testing.T) {
			dovecot, err := testbed.NewForTest(t).StartDestination(testbed.DestinationOptions{
				Separator: separator, Accounts: map[string]string{"anna@example.org": "pw"},
			})
			if err != nil {
				t.Fatal(err)
			}
			owner, err := dovecot.Login("anna@example.org", "pw")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(owner.Cut)
			for from, raw := range MapFolders(Names{Source: source, Destination: debianFolders, Namespace: wire.Namespace{Separator: separator[0]}}) {
				quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(raw)
				if _, err := owner.Command(`CREATE "%s"`, quoted); err != nil && !strings.Contains(err.Error(), "ALREADYEXISTS") {
					t.Errorf("%q as %q: %v", from, raw, err)
				}
				if _, err := owner.Command(`EXAMINE "%s"`, quoted); err != nil {
					t.Errorf("%q as %q: %v", from, raw, err)
				}
			}
		})
	}
}
