# ---- Überall

skip = Zum Inhalt
money = { $amount } { $currency }
optional = freiwillig
choose = Bitte wählen…
copy = Kopieren
copied = Kopiert
confirm = Ja
id = Kennung
language = Sprache
program = Programm
form-refused = Das wurde nicht angenommen. Nichts hat sich geändert.
problem-title = Das ging nicht
problem-title-not-found = Diese Seite gibt es nicht
problem-title-forbidden = Das dürfen Sie nicht
problem-code = Code:
problem-home = Zur Startseite
table-pages = Seiten der Liste
table-first = Erste Seite
table-next = Nächste Seite
table-csv = Als CSV
table-filter = Filtern
table-all = Alle

# ---- Navigation

nav-main = Seiten
nav-home = Start
nav-links = Links und Gutscheine
nav-conversions = Conversions
nav-deals = Deals
nav-leads = Leads
nav-partners = Partner
nav-programs = Programme
nav-operators = Mitarbeitende
nav-sessions = Sitzungen

# ---- Anmelden

sign-in = Anmelden
sign-out = Abmelden
sign-in-intro = Wir senden Ihnen einen Link. Ein Passwort brauchen Sie nicht.
sign-in-email = E-Mail-Adresse
sign-in-send = Link senden
sign-in-mailed = Sehen Sie in Ihre E-Mails
sign-in-sent = Ist diese Adresse hier bekannt, so ist ein Link unterwegs. Er gilt einmal und { $minutes } Minuten lang.
sign-in-same-browser = Öffnen Sie ihn in diesem Browser: In keinem anderen gilt er.
sign-in-again = Einen weiteren Link anfordern
sign-in-as = Anmelden als
sign-in-as-operator = Der Anbieter
sign-in-link-unfit = Dieser Link meldet niemanden an
sign-in-link-unknown = Er ist nicht vollständig oder wurde nie versandt. Kopieren Sie ihn ganz aus der E-Mail, oder fordern Sie einen weiteren an.
sign-in-link-used = Er wurde schon benutzt, und jeder gilt einmal.
sign-in-link-late = Er ist zu alt.
sign-in-link-elsewhere = Ein anderer Browser hat ihn angefordert. Öffnen Sie ihn dort, oder fordern Sie hier einen an.
sessions-intro = Diese Browser sind in Ihrem Namen angemeldet. Beenden Sie, was Sie nicht kennen.
sessions-browser = Browser
sessions-since = Seit
sessions-until = Längstens bis
sessions-this = Diese benutzen Sie gerade.
sessions-end = Beenden

# ---- Was getan wurde

done-session-ended = Die Sitzung ist beendet.
done-link-made = Der Link ist fertig.
done-link-disabled = Der Link ist abgeschaltet.
done-partner-suspend = Der Partner ist gesperrt.
done-partner-reinstate = Der Partner ist wieder aktiv.
done-partner-ban = Der Partner ist ausgeschlossen.
done-operator-saved = Gespeichert.

# ---- Zustände

state-received = eingegangen
state-waiting = wartet
state-held = zurückgehalten
state-payable = auszahlbar
state-in-transit = unterwegs
state-paid = bezahlt
state-reversed = zurückgenommen
state-unattributed = niemandem gutgeschrieben
balance-pending = Vorläufig
balance-payable = Auszahlbar
balance-in-transit = Unterwegs
balance-paid = Bezahlt
link-state-active = aktiv
link-state-disabled = abgeschaltet
deal-state-draft = Entwurf
deal-state-submitted = eingereicht
deal-state-in-review = in Prüfung
deal-state-needs-information = Angaben fehlen
deal-state-approved = genehmigt
deal-state-rejected = abgelehnt
deal-state-won = gewonnen
deal-state-lost = verloren
deal-state-expired = abgelaufen
deal-state-withdrawn = zurückgezogen
deal-state-disputed = strittig
partner-status-active = aktiv
partner-status-suspended = gesperrt
partner-status-banned = ausgeschlossen
partner-status-archived = archiviert
partner-kind-affiliate = Affiliate
partner-kind-referrer = Empfehler
partner-kind-reseller = Wiederverkäufer
partner-kind-service = Servicepartner
member-role-owner = Inhaber
member-role-manager = Leitung
member-role-member = Mitglied
scope-admin = Verwaltung: alles, auch Personen
scope-channel = Vertrieb: Programme, Partner, Deals, Leads
scope-finance = Finanzen: Auszahlungen, Korrekturen, Abrechnungen
scope-read = Nur lesen

# ---- Start eines Partners

home-hello = Guten Tag, { $name }
home-attention = Braucht Ihre Aufmerksamkeit
home-leads-offered = { $count ->
    [one] Ein Lead wird Ihnen angeboten.
   *[other] { $count } Leads werden Ihnen angeboten.
}
home-deals-asked = { $count ->
    [one] Zu einem Ihrer Deals fehlen Angaben.
   *[other] Zu { $count } Ihrer Deals fehlen Angaben.
}
home-no-program = Sie sind noch in keinem Programm. Ihre Partnerbetreuung nimmt Sie in eines auf.
home-no-method = Wir wissen noch nicht, wohin wir Sie bezahlen.
home-no-earnings = Noch keine Einnahmen
home-no-earnings-what = Was Ihre Links, Gutscheine und Deals einbringen, steht hier: von der Gutschrift bis zur Auszahlung.
home-no-earnings-step = Einen Link anlegen
home-earnings = Einnahmen in { $currency }
home-latest = Neueste Conversions
home-all-conversions = Alle Conversions

# ---- Links

link-new = Ein neuer Link
link-make = Link anlegen
link-url = Link
link-destination = Wohin er führt
link-destination-hint = Eine Seite des Anbieters, die mit https:// beginnt
link-since = Seit
link-state = Zustand
link-qr = QR-Code
link-disable = Abschalten
link-disable-warns = Klicks darauf werden Ihnen nicht mehr gutgeschrieben. Er lässt sich nicht wieder einschalten; ein neuer Link lässt sich anlegen.
links-none = Noch keine Links
links-none-what = An Ihrem eigenen Link erkennt der Anbieter, dass ein Besucher über Sie kam.
coupons = Gutscheine
coupon-code = Code

# ---- Conversions

conversion-when = Wann
conversion-event = Was
conversion-transaction = Vorgang
conversion-state = Zustand
conversion-amount = Betrag
conversion-commission = Provision
conversion-release = Zurückgehalten bis
conversion-title = Conversion: { $event }
conversion-how = Wie wurde das berechnet?
conversion-waits = Es wird berechnet. Sehen Sie gleich noch einmal nach.
conversions-none = Noch keine Conversions
conversions-none-what = Jeder Verkauf, der über Sie kommt, steht hier: mit Ihrer Provision und wie sie berechnet wurde.
unattributed-click-expired = Der Klick lag zu lange zurück.
unattributed-partner-suspended = Ihr Konto war zu der Zeit gesperrt.
unattributed-link-disabled = Der Link war abgeschaltet.

# ---- Deals

deal-name = Deal
deal-state = Zustand
deal-amount = Betrag
deals-none = Noch keine Deals

# ---- Start des Anbieters

console-home = Was ansteht
console-waits = Was auf eine Entscheidung wartet
console-deals = Deals zu prüfen
console-disputes = Offene Einsprüche
console-leads = Leads ohne Partner
console-batches = Auszahlungen zu genehmigen
programs-none = Noch keine Programme
programs-none-what = Ein Programm sagt, in welcher Währung und nach welchen Plänen Partner bezahlt werden.
program-currency = Währung
program-since = Seit

# ---- Partner

partner-name = Name
partner-email = E-Mail-Adresse
partner-kind = Art
partner-country = Land
partner-status = Status
partner-since = Seit
partner-balances = Guthaben
partner-no-balances = Noch wurde nichts verdient.
partner-members = Personen
partner-no-members = Niemand außer der Kontaktperson.
partner-suspend = Sperren
partner-suspend-warns = Der Partner verdient nichts Neues und wird nicht bezahlt, bis die Sperre aufgehoben wird. Was er verdient hat, bleibt.
partner-ban = Ausschließen
partner-ban-warns = Der Partner verdient nichts Neues, wird nicht bezahlt, und seine Schlüssel enden. Eine Wiederaufnahme bringt die Schlüssel nicht zurück.
partner-reinstate = Wieder aufnehmen
partner-reinstate-warns = Der Partner verdient von jetzt an wieder und wird bezahlt.
partners-none = Keine Partner
partners-none-what = Niemand passt zum Filter, oder es ist noch niemand da.
member-name = Name
member-email = E-Mail-Adresse
member-role = Rolle

# ---- Mitarbeitende

operators-intro = Wer sich an dieser Konsole anmelden darf. Ohne Rechte ist keine Anmeldung möglich.
operator-new = Neu
operator-add = Hinzufügen
operator-save = Speichern
operator-scopes = Darf

# ---- Deals eines Partners

deal-register = Deal anmelden
deal-hand-in = Einreichen
deal-protected = Geschützt bis
deal-customer = Kunde
deal-country = Land
deal-country-hint = Zwei Buchstaben, etwa DE
deal-domain = Domain oder Website
deal-domain-hint = Woran der Kunde erkannt wird, etwa acme.example
deal-amount-hint = Geschätzt, mit einem Punkt vor den Cent, etwa 25000.00
deal-lines = Produktlinien
deal-lines-hint = Codes der Produktlinien des Programms, durch Kommas getrennt
deal-close = Abschluss erwartet
deal-about = Worum es geht
deal-handed-in = Eingereicht
deal-findings = Was gefunden wurde
deal-examined = Der Anbieter sieht sich noch etwas anderes an.
deal-asked = Der Anbieter fragt
deal-answer = Ihre Antwort
deal-answer-by = Antworten bis
deal-answer-send = Antwort senden
deal-extend = Schutz verlängern
deal-withdraw = Zurückziehen
deal-withdraw-warns = Der Deal endet, und der Kunde ist für andere frei. Er lässt sich nicht wieder aufnehmen.
deal-lost = Er ging verloren
deal-lost-why = Warum
deals-none-what = Melden Sie an, mit wem Sie sprechen: Nach der Genehmigung bekommt eine Zeit lang niemand sonst den Kunden.
deal-reason-duplicate = Für dasselbe gibt es schon einen Deal.
deal-reason-direct-owned = Der Anbieter betreut diesen Kunden selbst.
deal-reason-out-of-territory = Der Kunde liegt außerhalb Ihres Gebiets.
deal-reason-not-eligible = Das dürfen Sie noch nicht anmelden.
deal-reason-no-value-added = Ihr Anteil daran ist nicht klar.
deal-reason-incomplete = Etwas fehlt.
timeline = Was geschah
by-partner = Sie
by-vendor = der Anbieter
by-rule = die Regeln des Programms
happening-created = Aufgeschrieben
happening-submitted = Eingereicht
happening-review-started = Prüfung begonnen
happening-information-requested = Um mehr gebeten
happening-information-supplied = Beantwortet
happening-step-approved = Ein Schritt stimmte zu
happening-escalated = Weitergegeben
happening-approved = Genehmigt
happening-rejected = Abgelehnt
happening-extended = Verlängert
happening-reminded = Erinnert
happening-expired = Abgelaufen
happening-withdrawn = Zurückgezogen
happening-won = Gewonnen
happening-lost = Verloren
happening-shared = Geteilt
happening-alone = Nicht mehr geteilt
happening-dispute-raised = Bestritten
happening-dispute-decided = Streit entschieden
happening-merged = Mit seinem Partner übergegangen
done-deal-registered = Der Deal ist angemeldet.
done-deal-changed = Erledigt.

# ---- Leads eines Partners

lead = Lead
lead-stage = Stand
lead-left = Zeit zu antworten
lead-over = vorbei
lead-since = Seit
lead-size = Menschen im Unternehmen
lead-country = Wo
lead-lines = Sucht
lead-need = Wofür
lead-contact = Kontakt
lead-email = E-Mail-Adresse
lead-phone = Telefon
lead-message = Nachricht
lead-offer = Dieser Lead wird Ihnen angeboten
lead-offer-what = Nehmen Sie an, um zu sehen, wer es ist. Sonst geht er an einen anderen Partner.
lead-accept = Annehmen
lead-decline = Ablehnen
lead-decline-choice = Warum Sie ablehnen
lead-on = Wie steht es?
lead-progress = Speichern
lead-progress-choice = Stand
lead-lost = Er ging verloren
lead-lost-choice = Warum er verloren ging
leads-none = Noch keine Leads
leads-none-what = Leads, die der Anbieter Ihnen anbietet, stehen hier. Wer es ist, sehen Sie, sobald Sie annehmen.
lead-stage-offered = angeboten
lead-stage-accepted = angenommen
lead-stage-working = in Arbeit
lead-stage-qualified = qualifiziert
lead-stage-proposal = Angebot
lead-stage-won = gewonnen
lead-stage-lost = verloren
lead-stage-declined = abgelehnt
lead-stage-expired = abgelaufen
lead-stage-withdrawn = zurückgezogen
lead-stage-reclaimed = zurückgenommen
lead-decline-no-capacity = Keine Kapazität
lead-decline-outside-territory = Außerhalb unseres Gebiets
lead-decline-not-our-business = Nicht unser Geschäft
lead-decline-wrong-size = Zu groß oder zu klein
lead-decline-conflict-of-interest = Interessenkonflikt
lead-decline-known-without-need = Wir kennen sie; sie brauchen nichts
lead-decline-other = Ein anderer Grund
lead-lost-no-answer = Keine Antwort
lead-lost-no-budget = Kein Budget
lead-lost-no-need = Kein Bedarf
lead-lost-competitor = Ein Wettbewerber hat ihn
lead-lost-not-genuine = Nicht echt
lead-lost-other = Ein anderer Grund
done-lead-accept = Der Lead gehört Ihnen.
done-lead-decline = Der Lead geht an einen anderen Partner.
done-lead-progress = Gespeichert.
done-lead-lost = Gespeichert.
