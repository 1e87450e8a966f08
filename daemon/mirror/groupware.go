package mirror

import "strings"

// The kinds of folders that hold no mail.
const (
	kindCalendar = "calendar"
	kindContacts = "contacts"
	kindTasks    = "tasks"
	kindJournal  = "journal"
	kindNotes    = "notes"
	kindOutbox   = "outbox"
	kindSync     = "sync issues"
)

var notMailKinds = []string{kindCalendar, kindContacts, kindTasks, kindJournal, kindNotes, kindOutbox, kindSync}

// notMailNames are the names that Outlook and Exchange give to them, one line per language, in the order of
// notMailKinds. Several names are divided by "|".
var notMailNames = [][]string{
	{"Calendar", "Contacts", "Tasks", "Journal", "Notes", "Outbox", "Sync Issues"},
	{"Calendario", "Contatti", "Attività", "Diario|Journal", "Note", "Posta in uscita", "Problemi di sincronizzazione"},
	{"Calendrier", "Contacts", "Tâches", "Journal", "Notes", "Boîte d'envoi|Boîte d’envoi", "Problèmes de synchronisation"},
	{"Kalender", "Kontakte", "Aufgaben", "Journal", "Notizen", "Postausgang", "Synchronisierungsprobleme"},
	{"Calendario", "Contactos", "Tareas", "Diario", "Notas", "Bandeja de salida", "Problemas de sincronización"},
	{"Agenda", "Contactpersonen", "Taken", "Logboek", "Notities", "Postvak UIT", "Synchronisatieproblemen"},
	{"Calendário", "Contatos|Contactos", "Tarefas", "Diário", "Anotações|Notas", "Caixa de Saída|A Enviar", "Problemas de Sincronização"},
	{"Kalendarz", "Kontakty", "Zadania", "Dziennik", "Notatki", "Skrzynka nadawcza", "Problemy z synchronizacją"},
	{"Kalender", "Kontakter", "Uppgifter", "Journal", "Anteckningar", "Utkorgen", "Synkroniseringsproblem"},
	{"Kalender", "Kontaktpersoner", "Opgaver", "Journal", "Noter", "Udbakke", "Synkroniseringsproblemer"},
	{"Kalender", "Kontakter", "Oppgaver", "Journal|Logg", "Notater", "Utboks", "Synkroniseringsproblemer"},
	{"Kalenteri", "Yhteystiedot", "Tehtävät", "Päiväkirja", "Muistilaput", "Lähtevät", "Synkronointiongelmat"},
	{"Kalendář", "Kontakty", "Úkoly", "Deník", "Poznámky", "Pošta k odeslání", "Problémy synchronizace"},
	{"Naptár", "Névjegyalbum|Névjegyek", "Feladatok", "Napló", "Feljegyzések", "Postázandó üzenetek", "Szinkronizálási hibák"},
	{"Calendar", "Persoane de contact", "Activități", "Jurnal", "Note", "Outbox|Ieșire", "Probleme de sincronizare"},
	{"Takvim", "Kişiler", "Görevler", "Günlük", "Notlar", "Giden Kutusu", "Eşitleme Sorunları"},
	{"Календарь", "Контакты", "Задачи", "Дневник", "Заметки", "Исходящие", "Ошибки синхронизации"},
	{"Календар", "Контакти", "Завдання", "Щоденник", "Нотатки", "Вихідні", "Проблеми синхронізації"},
	{"Ημερολόγιο", "Επαφές", "Εργασίες", "Χρονικό", "Σημειώσεις", "Εξερχόμενα", "Ζητήματα συγχρονισμού"},
	{"予定表", "連絡先", "タスク", "履歴", "メモ", "送信トレイ", "同期の失敗"},
	{"日历", "联系人", "任务", "日记", "便笺", "发件箱", "同步问题"},
}

// notMailName is what a name means, and in which languages.
type notMailName struct {
	kind      string
	languages []int
}

// notMailByName is the reverse of notMailNames, by folded name.
var notMailByName = func() map[string]notMailName {
	byName := map[string]notMailName{}
	for language, names := range notMailNames {
		for i, all := range names {
			for _, name := range strings.Split(all, "|") {
				known := byName[fold(name)]
				byName[fold(name)] = notMailName{notMailKinds[i], append(known.languages, language)}
			}
		}
	}
	return byName
}()
