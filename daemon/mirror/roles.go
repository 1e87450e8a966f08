package mirror

import (
	"strings"

	"mailstork/daemon/mirror/wire"
)

// roleNames are the names that mail programs and servers give to special folders where the server declares none
// (RFC 6154). Earlier names win when an account has several. One line per language: en, de, fr, it, es, nl, pt, pl, da, sv, nb, fi,
// cs, sk, hu, ro, tr, el, ru, uk, ja, zh.
var roleNames = map[string][]string{
	wire.UseSent: {
		"Sent", "Sent Items", "Sent Messages", "Sent Mail", "Sent-Mail", "Sent_Mail", "SentMail", "Sent E-mail",
		"Gesendet", "Gesendete Elemente", "Gesendete Objekte", "Gesendete Nachrichten", "Gesendete Mails", "Gesendete E-Mails",
		"Envoyés", "Envoyé", "Éléments envoyés", "Messages envoyés", "Courriers envoyés", "Objets envoyés", "Courrier envoyé",
		"Posta inviata", "Inviata", "Inviati", "Inviate", "Elementi inviati", "Messaggi inviati",
		"Enviados", "Elementos enviados", "Mensajes enviados", "Correo enviado",
		"Verzonden", "Verzonden items", "Verzonden berichten", "Verzonden objecten", "Verstuurd",
		"Itens enviados", "Enviado", "Enviadas", "Mensagens enviadas", "E-mails enviados", "E-mail enviado",
		"Wysłane", "Elementy wysłane", "Wiadomości wysłane", "Poczta wysłana",
		"Sendt", "Sendte elementer", "Sendt post", "Sendte mails", "Sendte beskeder",
		"Skickat", "Skickade objekt", "Skickade", "Skickade meddelanden",
		"Sendte meldinger", "Sendte e-poster",
		"Lähetetyt", "Lähetetyt viestit", "Lähetetyt kohteet",
		"Odeslaná pošta", "Odeslané", "Odeslané zprávy", "Odoslané", "Odoslaná pošta", "Odoslané položky",
		"Elküldött elemek", "Elküldött", "Elküldött üzenetek", "Elküldött levelek",
		"Trimise", "Elemente trimise", "Mesaje trimise",
		"Gönderilmiş Öğeler", "Gönderilenler", "Gönderilmiş", "Gönderilmiş Postalar", "Giden",
		"Απεσταλμένα", "Σταλμένα",
		"Отправленные", "Отправленные письма", "Отправленная почта", "Надіслані", "Відправлені",
		"送信済みアイテム", "送信済みメール", "送信済み", "送信済",
		"已发送邮件", "已发送", "已傳送郵件", "寄件備份", "寄件備份匣", "已寄郵件",
	},
	wire.UseDrafts: {
		"Drafts", "Draft", "Draft Messages", "Entwürfe", "Entwurf", "Brouillons", "Brouillon", "Bozze", "Bozza", "Borradores", "Borrador",
		"Concepten", "Concept", "Rascunhos", "Rascunho", "Kopie robocze", "Szkice", "Robocze", "Wersje robocze",
		"Kladder", "Kladde", "Utkast", "Luonnokset", "Koncepty", "Koncept", "Rozepsané", "Rozepsaná pošta", "Rozpísané",
		"Piszkozatok", "Vázlatok", "Ciorne", "Schițe", "Taslaklar", "Taslak", "Πρόχειρα", "Черновики", "Чернетки",
		"下書き", "草稿", "草稿箱", "草稿匣",
	},
	wire.UseTrash: {
		"Trash", "Deleted Items", "Deleted Messages", "Deleted", "Bin", "Trash Can", "Deleted Mail",
		"Papierkorb", "Gelöscht", "Gelöschte Elemente", "Gelöschte Objekte", "Gelöschte Nachrichten", "Gelöschte Mails",
		"Corbeille", "Éléments supprimés", "Messages supprimés", "Supprimés", "Objets supprimés",
		"Cestino", "Posta eliminata", "Elementi eliminati", "Messaggi eliminati", "Eliminati", "Eliminata",
		"Papelera", "Papelera de reciclaje", "Elementos eliminados", "Mensajes eliminados", "Eliminados",
		"Prullenbak", "Prullenmand", "Verwijderde items", "Verwijderde berichten", "Verwijderd",
		"Lixeira", "Lixo", "Itens eliminados", "Itens excluídos", "Mensagens excluídas", "Excluídos", "Reciclagem",
		"Kosz", "Elementy usunięte", "Usunięte",
		"Slettet post", "Slettede elementer", "Papirkurv", "Papirkurven", "Søppel", "Borttaget", "Borttagna objekt", "Papperskorgen", "Papperskorg",
		"Roskakori", "Poistetut", "Poistetut kohteet",
		"Koš", "Odstraněná pošta", "Odstraněné", "Kôš", "Odstránená pošta", "Odstránené položky",
		"Törölt elemek", "Kuka", "Lomtár", "Törölt",
		"Coș de gunoi", "Coș", "Elemente șterse", "Gunoi", "Çöp Kutusu", "Çöp", "Silinmiş Öğeler", "Silinenler", "Silinmiş",
		"Διαγραμμένα", "Κάδος", "Κάδος απορριμμάτων", "Απορρίμματα",
		"Удаленные", "Удалённые", "Корзина", "Видалені", "Кошик",
		"ごみ箱", "ゴミ箱", "削除済みアイテム", "已删除邮件", "已删除", "废件箱", "垃圾桶", "刪除的郵件", "回收筒", "已刪除的郵件",
	},
	wire.UseJunk: {
		"Junk", "Spam", "Junk E-mail", "Junk Email", "Junk Mail", "Bulk Mail", "Bulk", "Spambox",
		"Spamverdacht", "Unerwünscht", "Junk-E-Mail", "Unerwünschte Werbung", "Spam-Verdacht",
		"Courrier indésirable", "Indésirables", "Indésirable", "Pourriel", "Pourriels", "Quarantaine",
		"Posta indesiderata", "Indesiderata", "Posta spazzatura", "Correo no deseado", "Correo basura", "No deseado",
		"Ongewenste e-mail", "Ongewenst", "Ongewenste reclame", "Ongewenste mail", "Lixo eletrônico", "Lixo electrónico", "Lixo Eletrónico", "Correio não solicitado",
		"Wiadomości-śmieci", "Niechciane", "Wiadomości śmieci", "Poczta-śmieci",
		"Uønsket mail", "Uønsket e-mail", "Uønsket e-post", "Søppelpost", "Skräppost", "Roskaposti", "Nevyžádaná pošta", "Nevyžiadaná pošta", "Spamy",
		"Levélszemét", "Kéretlen levelek", "Mesaje nedorite", "Gereksiz", "Önemsiz E-posta", "Önemsiz",
		"Ανεπιθύμητα", "Ανεπιθύμητη αλληλογραφία", "Нежелательная почта", "Спам", "Небажана пошта", "Небажана електронна пошта",
		"迷惑メール", "垃圾邮件", "垃圾郵件", "垃圾電子郵件",
	},
	wire.UseArchive: {
		"Archive", "Archives", "Archiv", "Archivio", "Archivo", "Archivados", "Archief", "Arquivo", "Arquivo morto",
		"Archiwum", "Arkiv", "Arkisto", "Archív", "Archívum", "Arhivă", "Arhiva", "Arşiv", "Αρχειοθήκη", "Αρχείο", "Архив", "Архів",
		"アーカイブ", "存档", "归档", "封存",
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
