# ---- Everywhere

skip = Skip to content
money = { $currency } { $amount }
optional = optional
choose = Choose…
copy = Copy
copied = Copied
confirm = Yes
id = Id
language = Language
program = Program
form-refused = That was not taken. Nothing changed.
problem-title = That did not work
problem-title-not-found = There is no such page
problem-title-forbidden = That is not for you
problem-code = Code:
problem-home = To the start page
table-pages = Pages of the list
table-first = First page
table-next = Next page
table-csv = As CSV
table-filter = Filter
table-all = All

# ---- Navigation

nav-main = Pages
nav-home = Home
nav-links = Links and coupons
nav-conversions = Conversions
nav-deals = Deals
nav-leads = Leads
nav-partners = Partners
nav-programs = Programs
nav-operators = Operators
nav-sessions = Sessions

# ---- Signing in

sign-in = Sign in
sign-out = Sign out
sign-in-intro = We mail you a link. You need no password.
sign-in-email = Email address
sign-in-send = Mail me a link
sign-in-mailed = Look into your mail
sign-in-sent = If that address is known here, a link is on its way. It is good once, for { $minutes } minutes.
sign-in-same-browser = Open it in this browser: it is good in no other.
sign-in-again = Ask for another link
sign-in-as = Sign in as
sign-in-as-operator = The vendor
sign-in-link-unfit = This link signs nobody in
sign-in-link-unknown = It is not whole, or it was never sent. Copy all of it out of the mail, or ask for another.
sign-in-link-used = It was used already, and each is good once.
sign-in-link-late = It is too old.
sign-in-link-elsewhere = Another browser asked for it. Open it where you asked, or ask here.
sessions-intro = These browsers are signed in as you. End those that you do not know.
sessions-browser = Browser
sessions-since = Since
sessions-until = Until at most
sessions-this = This is the one you are using.
sessions-end = End it

# ---- What was done

done-session-ended = The session is ended.
done-link-made = The link is ready.
done-link-disabled = The link is disabled.
done-partner-suspend = The partner is suspended.
done-partner-reinstate = The partner is active again.
done-partner-ban = The partner is banned.
done-operator-saved = Saved.

# ---- States

state-received = received
state-waiting = waiting
state-held = held
state-payable = payable
state-in-transit = on its way
state-paid = paid
state-reversed = taken back
state-unattributed = not credited
balance-pending = Pending
balance-payable = Payable
balance-in-transit = On its way
balance-paid = Paid
link-state-active = active
link-state-disabled = disabled
deal-state-draft = draft
deal-state-submitted = submitted
deal-state-in-review = in review
deal-state-needs-information = needs information
deal-state-approved = approved
deal-state-rejected = rejected
deal-state-won = won
deal-state-lost = lost
deal-state-expired = expired
deal-state-withdrawn = withdrawn
deal-state-disputed = disputed
partner-status-active = active
partner-status-suspended = suspended
partner-status-banned = banned
partner-status-archived = archived
partner-kind-affiliate = Affiliate
partner-kind-referrer = Referrer
partner-kind-reseller = Reseller
partner-kind-service = Service partner
member-role-owner = Owner
member-role-manager = Manager
member-role-member = Member
scope-admin = Admin: everything, people included
scope-channel = Channel: programs, partners, deals, leads
scope-finance = Finance: payouts, adjustments, statements
scope-read = Read-only

# ---- Home of a partner

home-hello = Hello { $name }
home-attention = Needs your attention
home-leads-offered = { $count ->
    [one] One lead is offered to you.
   *[other] { $count } leads are offered to you.
}
home-deals-asked = { $count ->
    [one] One of your deals needs more information.
   *[other] { $count } of your deals need more information.
}
home-no-program = You are in no program yet. Your partner manager puts you into one.
home-no-method = We do not know yet where to pay you.
home-no-earnings = No earnings yet
home-no-earnings-what = What your links, coupons and deals bring shows here, from the moment it is credited until it is paid.
home-no-earnings-step = Make a link
home-earnings = Earnings in { $currency }
home-latest = Latest conversions
home-all-conversions = All conversions

# ---- Links

link-new = A new link
link-make = Make the link
link-url = Link
link-destination = Where it leads
link-destination-hint = A page of the vendor's, beginning with https://
link-since = Since
link-state = State
link-qr = QR code
link-disable = Disable
link-disable-warns = Clicks on it are no longer credited to you. It cannot be enabled again; a new link can be made.
links-none = No links yet
links-none-what = A link of your own tells the vendor that a visitor came through you.
coupons = Coupons
coupon-code = Code

# ---- Conversions

conversion-when = When
conversion-event = What
conversion-transaction = Transaction
conversion-state = State
conversion-amount = Amount
conversion-commission = Commission
conversion-release = Held until
conversion-title = Conversion: { $event }
conversion-how = How was this computed?
conversion-waits = It is being computed. Look again in a moment.
conversions-none = No conversions yet
conversions-none-what = Each sale that comes through you stands here, with what it earned you and how that was computed.
unattributed-click-expired = The click was too long ago to count.
unattributed-partner-suspended = Your account was suspended at the time.
unattributed-link-disabled = The link was disabled.

# ---- Deals

deal-name = Deal
deal-state = State
deal-amount = Amount
deals-none = No deals yet

# ---- Home of the vendor

console-home = What waits
console-waits = What waits for a decision
console-deals = Deals to review
console-disputes = Open disputes
console-leads = Leads without a partner
console-batches = Payouts to approve
programs-none = No programs yet
programs-none-what = A program says in which currency partners are paid, and under which plans.
program-currency = Currency
program-since = Since

# ---- Partners

partner-name = Name
partner-email = Email address
partner-kind = Kind
partner-country = Country
partner-status = Status
partner-since = Since
partner-balances = Balances
partner-no-balances = Nothing was earned yet.
partner-members = People
partner-no-members = Nobody besides the contact.
partner-suspend = Suspend
partner-suspend-warns = The partner earns nothing new and is not paid until it is reinstated. What it earned stays.
partner-ban = Ban
partner-ban-warns = The partner earns nothing new, is not paid, and its keys end. A reinstatement does not bring the keys back.
partner-reinstate = Reinstate
partner-reinstate-warns = The partner earns and is paid again from now on.
partners-none = No partners
partners-none-what = Nobody fits the filter, or nobody is there yet.
member-name = Name
member-email = Email address
member-role = Role

# ---- Operators

operators-intro = Who may sign in to this console. Without any scope an operator may not sign in.
operator-new = A new operator
operator-add = Add
operator-save = Save
operator-scopes = May do

# ---- Deals of a partner

deal-register = Register a deal
deal-hand-in = Hand it in
deal-protected = Protected until
deal-customer = Customer
deal-country = Country
deal-country-hint = Two letters, such as DE
deal-domain = Domain or website
deal-domain-hint = By which the customer is recognised, such as acme.example
deal-amount-hint = Estimated, with a point before the cents, such as 25000.00
deal-lines = Product lines
deal-lines-hint = Codes of the program's product lines, with commas between them
deal-close = Expected to close
deal-about = What it is about
deal-handed-in = Handed in
deal-findings = What was found
deal-examined = The vendor looks at something else that was found.
deal-asked = The vendor asks
deal-answer = Your answer
deal-answer-by = Answer by
deal-answer-send = Send the answer
deal-extend = Extend the protection
deal-withdraw = Withdraw
deal-withdraw-warns = The deal ends, and the customer is free for others. It cannot be taken up again.
deal-lost = It was lost
deal-lost-why = Why
deals-none-what = Register whom you are talking to: once it is approved, nobody else gets the customer for a while.
deal-reason-duplicate = Another deal is for the same.
deal-reason-direct-owned = The vendor serves this customer itself.
deal-reason-out-of-territory = The customer is outside your territory.
deal-reason-not-eligible = You may not register this yet.
deal-reason-no-value-added = Your part in it is not clear.
deal-reason-incomplete = Something is missing.
timeline = What happened
by-partner = you
by-vendor = the vendor
by-rule = the program's rules
happening-created = Written down
happening-submitted = Handed in
happening-review-started = Review begun
happening-information-requested = Asked for more
happening-information-supplied = Answered
happening-step-approved = A step consented
happening-escalated = Passed on
happening-approved = Approved
happening-rejected = Rejected
happening-extended = Extended
happening-reminded = Reminded
happening-expired = Expired
happening-withdrawn = Withdrawn
happening-won = Won
happening-lost = Lost
happening-shared = Shared
happening-alone = No longer shared
happening-dispute-raised = Disputed
happening-dispute-decided = Dispute decided
happening-merged = Passed on with its partner
done-deal-registered = The deal is registered.
done-deal-changed = Done.

# ---- Leads of a partner

lead = Lead
lead-stage = Stage
lead-left = Time to answer
lead-over = over
lead-since = Since
lead-size = People at the company
lead-country = Where
lead-lines = Wants
lead-need = For
lead-contact = Contact
lead-email = Email address
lead-phone = Phone
lead-message = Message
lead-offer = This lead is offered to you
lead-offer-what = Accept it to see who it is. If you do not, it passes to another partner.
lead-accept = Accept
lead-decline = Decline
lead-decline-choice = Why you decline
lead-on = How is it going?
lead-progress = Save
lead-progress-choice = Where it stands
lead-lost = It was lost
lead-lost-choice = Why it was lost
leads-none = No leads yet
leads-none-what = Leads that the vendor offers you stand here. You see who it is once you accept.
lead-stage-offered = offered
lead-stage-accepted = accepted
lead-stage-working = working on it
lead-stage-qualified = qualified
lead-stage-proposal = proposal
lead-stage-won = won
lead-stage-lost = lost
lead-stage-declined = declined
lead-stage-expired = expired
lead-stage-withdrawn = withdrawn
lead-stage-reclaimed = taken back
lead-decline-no-capacity = No capacity
lead-decline-outside-territory = Outside our territory
lead-decline-not-our-business = Not our business
lead-decline-wrong-size = Too large or too small
lead-decline-conflict-of-interest = Conflict of interest
lead-decline-known-without-need = We know them; they need nothing
lead-decline-other = Another reason
lead-lost-no-answer = No answer
lead-lost-no-budget = No budget
lead-lost-no-need = No need
lead-lost-competitor = A competitor has it
lead-lost-not-genuine = Not genuine
lead-lost-other = Another reason
done-lead-accept = The lead is yours.
done-lead-decline = The lead passes to another partner.
done-lead-progress = Saved.
done-lead-lost = Saved.
