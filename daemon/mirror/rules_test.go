package mirror

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror/wire"
)

// skipped are the folders that rules leave out, by name, with the reason.
func skipped(r Rules, source []wire.Folder) map[string]string {
	found := map[string]string{}
	for raw, rule := range r.judge(source, false) {
		if rule.skip != "" {
			i := slices.IndexFunc(source, func(f wire.Folder) bool { return f.Raw == raw })
			found[strings.Join(source[i].Name, "/")] = rule.skip
		}
	}
	return found
}

func TestRulesLeaveOutWhatTheySayAndNothingElse(t *testing.T) {
	roles := func(all ...account.Role) Rules { return Rules{Domain: account.Rules{ExcludeRoles: all}} }
	named := func(all ...string) Rules { return Rules{Domain: account.Rules{ExcludeFolders: all}} }
	exchange := folders("INBOX", "Calendar", "Calendar/Birthdays", "Contacts", "Tasks", "Notes", "Outbox", "Sent Items", "Work", "Work/Notes")
	const trash, calendar = "excluded by the domain: role trash", "not mail: calendar"
	for _, c := range []struct {
		name   string
		rules  Rules
		source []wire.Folder
		want   map[string]string
	}{
		{"without rules everything is copied", Rules{}, folders("INBOX", "Trash", "Junk", "Notes"), map[string]string{}},
		{"a role takes the folder that the source declares, and all below it", roles("trash"), folders("INBOX", `Kos|\Trash`, "Kos/2019", "Work"),
			map[string]string{"Kos": trash, "Kos/2019": trash}},
		{"where the source declares one, a folder that is only called so is an ordinary one", roles("trash"), folders("INBOX", `Kos|\Trash`, "Bin"),
			map[string]string{"Kos": trash}},
		{"without a declaration every name that means the role counts", roles("trash"), folders("INBOX", "Deleted Items", "Papierkorb"),
			map[string]string{"Deleted Items": trash, "Papierkorb": trash}},
		{"a name takes the folder and all below it, in any case, and no folder that only begins like it", named("old"),
			folders("INBOX", "Old", "Old/2019", "Older"), map[string]string{"Old": `excluded by the domain: folder "old"`, "Old/2019": `excluded by the domain: folder "old"`}},
		{"who maps a folder wants it, though its role is excluded",
			Rules{Account: account.Rules{Map: map[string]string{"Trash/Keep": "Keep"}}, Domain: account.Rules{ExcludeRoles: []account.Role{"trash"}}},
			folders("INBOX", "Trash", "Trash/Keep", "Trash/Keep/2019"), map[string]string{"Trash": trash}},
		{"the account goes before its domain",
			Rules{Account: account.Rules{Map: map[string]string{"Old": "Old"}}, Domain: account.Rules{ExcludeFolders: []string{"Old"}}},
			folders("INBOX", "Old"), map[string]string{}},
		{"what is said about the inbox is about nothing below it", Rules{Domain: account.Rules{Map: map[string]string{"INBOX": "Before"}, ExcludeRoles: []account.Role{"sent"}}},
			folders("INBOX", "INBOX/Friends", "INBOX/Sent"), map[string]string{"INBOX/Sent": "excluded by the domain: role sent"}},
		{"folders of a calendar and its like are no mail", Rules{}, exchange,
			map[string]string{"Calendar": calendar, "Calendar/Birthdays": calendar, "Contacts": "not mail: contacts", "Tasks": "not mail: tasks", "Notes": "not mail: notes", "Outbox": "not mail: outbox"}},
		{"they are known by the names of their language", Rules{}, folders("INBOX", "Calendario", "Contatti", "Attività", "Note", "Posta in uscita"),
			map[string]string{"Calendario": calendar, "Contatti": "not mail: contacts", "Attività": "not mail: tasks", "Note": "not mail: notes", "Posta in uscita": "not mail: outbox"}},
		{"a name of theirs alone is a folder that its owner made", Rules{}, folders("INBOX", "Calendar", "Notes", "Tasks", "Kontakte"), map[string]string{}},
		{"who maps one of them wants it", Rules{Domain: account.Rules{Map: map[string]string{"Notes": "Notes"}}}, folders("INBOX", "Calendar", "Contacts", "Notes"),
			map[string]string{"Calendar": calendar, "Contacts": "not mail: contacts"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, skipped(c.rules, c.source)); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRulesKnowAFolderByItsNameOnTheWireToo(t *testing.T) {
	f := wire.Folder{Raw: "INBOX.Old.2019", Name: []string{"Old", "2019"}, Separator: '.', Selectable: true}
	for _, name := range []string{"Old", "old/2019", "INBOX/Old", "INBOX/Old/2019"} {
		if got := skipped(Rules{Domain: account.Rules{ExcludeFolders: []string{name}}}, []wire.Folder{f}); len(got) != 1 {
			t.Errorf("excluding %q leaves out %v", name, got)
		}
	}
}

// mapped is where folders are kept, by name.
func mapped(rules account.Rules, kept map[string]string, source, destination []wire.Folder) map[string]string {
	in := Names{Source: source, Destination: destination, Namespace: wire.Namespace{Separator: '/'}, Kept: kept, Wanted: map[string][]string{}}
	for raw, rule := range (Rules{Domain: rules}).judge(source, false) {
		if rule.place != nil {
			in.Wanted[raw] = rule.place
		}
	}
	return MapFolders(in)
}

func TestMappedFoldersGoWhereTheAdminWants(t *testing.T) {
	for _, c := range []struct {
		name        string
		folderMap   map[string]string
		source      []wire.Folder
		destination []wire.Folder
		kept        map[string]string
		want        map[string]string
	}{
		{name: "with everything below", folderMap: map[string]string{"Old": "Archive/Clients"}, source: folders("INBOX", "Old", "Old/Acme"),
			want: map[string]string{"INBOX": "INBOX", "Old": "Archive/Clients", "Old.Acme": "Archive/Clients/Acme"}},
		{name: "two may share one place", folderMap: map[string]string{"A": "Both", "B": "Both"}, source: folders("A", "B"),
			want: map[string]string{"A": "Both", "B": "Both"}},
		{name: "a folder may join one that keeps its name", folderMap: map[string]string{"Old": "work"}, source: folders("Old", "Work"),
			want: map[string]string{"Old": "Work", "Work": "Work"}},
		{name: "a folder may join a special one", folderMap: map[string]string{"Old sent": "Sent"}, source: folders("Old sent", `Gesendet|\Sent`), destination: debianFolders,
			want: map[string]string{"Old sent": "Sent", "Gesendet": "Sent"}},
		{name: "a folder may join the inbox", folderMap: map[string]string{"Old": "inbox"}, source: folders("INBOX", "Old"),
			want: map[string]string{"INBOX": "INBOX", "Old": "INBOX"}},
		{name: "the inbox may go elsewhere, alone", folderMap: map[string]string{"INBOX": "Before"}, source: folders("INBOX", "INBOX/Friends"),
			want: map[string]string{"INBOX": "Before", "INBOX.Friends": "INBOX/Friends"}},
		{name: "also when the ledger has another place", folderMap: map[string]string{"Work": "Labour"}, source: folders("Work"), kept: map[string]string{"Work": "Work"},
			want: map[string]string{"Work": "Labour"}},
		{name: "what Dovecot can't have in a name is replaced", folderMap: map[string]string{"Work": "~v1.2"}, source: folders("Work"),
			want: map[string]string{"Work": "_v1_2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, mapped(account.Rules{Map: c.folderMap}, c.kept, c.source, c.destination)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestEachRoleHasNamesInTwelveLanguagesAndNoNameTwoRoles looks for the name in each language that must be known.
func TestEachRoleHasNamesInTwelveLanguagesAndNoNameTwoRoles(t *testing.T) {
	names := map[string][]string{ // en de fr it es nl pt pl da sv nb fi cs hu ro tr ru uk el ja zh
		wire.UseSent: {"Sent Items", "Gesendete Elemente", "Éléments envoyés", "Posta inviata", "Elementos enviados", "Verzonden items", "Itens enviados", "Elementy wysłane", "Sendt post",
			"Skickat", "Sendte elementer", "Lähetetyt", "Odeslaná pošta", "Elküldött elemek", "Elemente trimise", "Gönderilmiş Öğeler", "Отправленные", "Надіслані", "Απεσταλμένα", "送信済みアイテム", "已发送邮件"},
		wire.UseDrafts: {"Drafts", "Entwürfe", "Brouillons", "Bozze", "Borradores", "Concepten", "Rascunhos", "Kopie robocze", "Kladder",
			"Utkast", "Luonnokset", "Koncepty", "Piszkozatok", "Ciorne", "Taslaklar", "Черновики", "Чернетки", "Πρόχειρα", "下書き", "草稿"},
		wire.UseTrash: {"Deleted Items", "Gelöschte Elemente", "Éléments supprimés", "Posta eliminata", "Elementos eliminados", "Verwijderde items", "Itens excluídos", "Elementy usunięte",
			"Slettet post", "Borttaget", "Slettede elementer", "Poistetut", "Odstraněná pošta", "Törölt elemek", "Elemente șterse", "Silinmiş Öğeler", "Удаленные", "Видалені", "Διαγραμμένα", "削除済みアイテム", "已删除邮件"},
		wire.UseJunk: {"Junk Email", "Junk-E-Mail", "Courrier indésirable", "Posta indesiderata", "Correo no deseado", "Ongewenste e-mail", "Lixo Eletrônico", "Wiadomości-śmieci",
			"Uønsket mail", "Skräppost", "Søppelpost", "Roskaposti", "Nevyžádaná pošta", "Levélszemét", "Mesaje nedorite", "Önemsiz E-posta", "Нежелательная почта", "Небажана пошта", "Ανεπιθύμητη αλληλογραφία", "迷惑メール", "垃圾邮件"},
	}
	for role, all := range names {
		for _, name := range all {
			if got, _ := roleOf(folder(name)); got != role {
				t.Errorf("%q is %q, want %q", name, got, role)
			}
			// As it comes on the wire.
			if got, _ := roleOf(wire.Folder{Name: []string{wire.DecodeName(wire.EncodeName(name))}}); got != role {
				t.Errorf("%q from the wire is %q, want %q", name, got, role)
			}
		}
	}
	seen := map[string]string{}
	for _, role := range slices.Sorted(maps.Keys(roleNames)) {
		for _, name := range roleNames[role] {
			if other, twice := seen[fold(name)]; twice {
				t.Errorf("%q is %s and %s", name, other, role)
			}
			seen[fold(name)] = role
		}
	}
}
