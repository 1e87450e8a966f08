package mirror

import (
	"strings"

	"mailstork/daemon/mirror/wire"
)

// roleNames are the names that mail programs and servers give to special folders where the server declares none
// (RFC 6154). Earlier names win when an account has several. Languages: en, de, fr, it, es, nl, pt, pl, da, sv, cs, ru.
var roleNames = map[string][]string{
	wire.UseSent: {
		"Sent", "Sent Items", "Sent Messages", "Sent Mail", "Sent-Mail",
		"Gesendet", "Gesendete Elemente", "Gesendete Objekte", "Gesendete Nachrichten", "Gesendete Mails",
		"Envoyés", "Éléments envoyés", "Messages envoyés", "Courriers envoyés", "Objets envoyés",
		"Posta inviata", "Inviata", "Inviati", "Elementi inviati", "Messaggi inviati",
		"Enviados", "Elementos enviados", "Mensajes enviados", "Correo enviado",
		"Verzonden", "Verzonden items", "Verzonden berichten", "Verzonden objecten",
		"Itens enviados", "Enviadas", "Mensagens enviadas", "E-mails enviados",
		"Wysłane", "Elementy wysłane", "Wiadomości wysłane",
		"Sendt", "Sendte elementer", "Sendt post", "Skickat", "Skickade objekt", "Odeslaná pošta", "Odeslané", "Отправленные",
	},
	wire.UseDrafts: {
		"Drafts", "Draft", "Entwürfe", "Entwurf", "Brouillons", "Brouillon", "Bozze", "Bozza", "Borradores", "Borrador",
		"Concepten", "Concept", "Rascunhos", "Rascunho", "Kopie robocze", "Szkice", "Robocze", "Wersje robocze",
		"Kladder", "Utkast", "Koncepty", "Rozepsané", "Черновики",
	},
	wire.UseTrash: {
		"Trash", "Deleted Items", "Deleted Messages", "Deleted", "Bin",
		"Papierkorb", "Gelöscht", "Gelöschte Elemente", "Gelöschte Objekte", "Gelöschte Nachrichten",
		"Corbeille", "Éléments supprimés", "Messages supprimés", "Supprimés", "Objets supprimés",
		"Cestino", "Posta eliminata", "Elementi eliminati", "Messaggi eliminati", "Eliminati",
		"Papelera", "Elementos eliminados", "Mensajes eliminados", "Eliminados",
		"Prullenbak", "Prullenmand", "Verwijderde items", "Verwijderde berichten", "Verwijderd",
		"Lixeira", "Lixo", "Itens eliminados", "Itens excluídos", "Mensagens excluídas", "Reciclagem",
		"Kosz", "Elementy usunięte", "Usunięte",
		"Slettet post", "Slettede elementer", "Papirkurv", "Borttaget", "Papperskorgen", "Koš", "Odstraněná pošta", "Удаленные", "Корзина",
	},
	wire.UseJunk: {
		"Junk", "Spam", "Junk E-mail", "Junk Email", "Junk Mail", "Bulk Mail", "Bulk",
		"Spamverdacht", "Unerwünscht", "Junk-E-Mail", "Unerwünschte Werbung",
		"Courrier indésirable", "Indésirables", "Indésirable", "Pourriel", "Quarantaine",
		"Posta indesiderata", "Indesiderata", "Correo no deseado", "Correo basura", "No deseado",
		"Ongewenste e-mail", "Ongewenst", "Ongewenste reclame", "Lixo eletrônico", "Lixo electrónico", "Correio não solicitado",
		"Wiadomości-śmieci", "Niechciane", "Wiadomości śmieci",
		"Uønsket mail", "Uønsket e-post", "Skräppost", "Nevyžádaná pošta", "Нежелательная почта", "Спам",
	},
	wire.UseArchive: {
		"Archive", "Archives", "Archiv", "Archivio", "Archivo", "Archivados", "Archief", "Arquivo", "Arquivo morto",
		"Archiwum", "Arkiv", "Архив",
	},
}

// roleByName is the reverse of roleNames: folded name → role and rank.
var roleByName = func() map[string]ranked {
	byName := map[string]ranked{}
	for role, names := range roleNames {
		for i, name := range names {
			byName[fold(name)] = ranked{role, i}
		}
	}
	return byName
}()

type ranked struct {
	role string
	rank int
}

const (
	rankDeclared  = -1   // the server says so
	rankBelowBox  = 1000 // "INBOX/Sent": where everything lies below the inbox
	rankUncertain = 1 << 20
)

// roleOf tells the special use of a folder and how sure that is: the smaller the rank the surer.
func roleOf(f wire.Folder) (role string, rank int) {
	if f.SpecialUse != "" {
		return f.SpecialUse, rankDeclared
	}
	name, extra := f.Name, 0
	if len(name) == 2 && name[0] == inbox {
		name, extra = name[1:], rankBelowBox
	}
	if len(name) != 1 {
		return "", rankUncertain
	}
	found, ok := roleByName[fold(name[0])]
	if !ok || found.role == wire.UseArchive && extra > 0 {
		return "", rankUncertain
	}
	return found.role, found.rank + extra
}

// fold makes names comparable as people read them.
func fold(name string) string { return strings.ToLower(name) }
