//! What channels, profiles and claims look like.

use serde::Serialize;
use serde_json::Value;
use tributary::channel::model::{Profile, Settings};
use tributary::channel::wire::{profile_json, settings_json, territories_json};
use tributary::claims::model::{CustomerClaim, Lost, Similar};
use tributary::claims::records::Answer;
use tributary::clock::stamp;
use utoipa::ToSchema;

/// What a program says of its channel.
#[derive(ToSchema)]
#[schema(as = Channel, example = json!({"product_lines": ["crm", "erp"], "tiers": ["silver", "gold"], "certifications": ["crm-expert"], "precedence": ["direct", "deal", "lead", "coupon", "referral", "click"], "accounts_count": false, "lead_days": 180, "referral_days": 90, "time_zone": "Europe/Berlin"}))]
pub struct ChannelBody {
    /// Codes of its product lines, at most 50; none where it does not tell them apart.
    pub product_lines: Option<Vec<String>>,
    /// Codes of its tiers, the lowest first, at most 20.
    pub tiers: Option<Vec<String>>,
    /// Codes of the certifications that it knows, at most 100.
    pub certifications: Option<Vec<String>>,
    /// Which claim wins: each of `direct`, `deal`, `lead`, `coupon`, `referral` and `click` once, the strongest
    /// first; in that order unless told.
    pub precedence: Option<Vec<String>>,
    /// Whether the vendor's accounts without an open opportunity count as `direct` as well; they do not unless
    /// told.
    pub accounts_count: Option<bool>,
    /// Days for which an accepted lead gives a right to the customer, 1 to 1095; 180 unless told.
    #[schema(minimum = 1, maximum = 1095)]
    pub lead_days: Option<u32>,
    /// Days for which a referral does, 1 to 1095; 90 unless told.
    #[schema(minimum = 1, maximum = 1095)]
    pub referral_days: Option<u32>,
    /// The IANA time zone of its days; UTC unless told.
    pub time_zone: Option<String>,
}

/// What a program says of its channel, with its version.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelSaid)]
pub struct ChannelView {
    /// The program.
    pub program: String,
    /// Counts changes; 0 where nothing was ever said.
    pub version: u64,
    /// As in the request.
    #[serde(flatten)]
    #[schema(value_type = ChannelBody)]
    pub said: Value,
}

pub(crate) fn channel(settings: &Settings) -> ChannelView {
    ChannelView {
        program: settings.program.to_string(),
        version: settings.version,
        said: settings_json(settings),
    }
}

/// What a program knows of a partner.
#[derive(ToSchema)]
#[schema(as = Profile, example = json!({"tier": "gold", "certifications": ["crm-expert"], "product_lines": ["crm"], "territories": [{"country": "DE", "regions": ["BY"], "postcodes": ["10-14"]}], "languages": ["de", "en"], "max_open_leads": 10, "weight": 3, "location": {"country": "DE", "region": "BY", "postcode": "80331", "latitude": "48.137154", "longitude": "11.576124"}, "working_hours": {"time_zone": "Europe/Berlin", "openings": [{"day": "monday", "from": "09:00", "to": "17:00"}], "holidays": ["2026-12-25"]}}))]
pub struct ProfileBody {
    /// One of the program's tiers.
    pub tier: Option<String>,
    /// Of the program's certifications.
    pub certifications: Option<Vec<String>>,
    /// Of the program's product lines; none named means all.
    pub product_lines: Option<Vec<String>>,
    /// Where it sells, at most 100; none named means everywhere.
    pub territories: Option<Vec<TerritoryBody>>,
    /// Two-letter codes of ISO 639, at most 30.
    pub languages: Option<Vec<String>>,
    /// Open leads that it can take care of at once; any number unless told.
    #[schema(minimum = 0, maximum = 100_000)]
    pub max_open_leads: Option<u32>,
    /// Its share where partners take turns, 0 to 1000; 1 unless told.
    #[schema(minimum = 0, maximum = 1000)]
    pub weight: Option<u32>,
    /// Where it is.
    pub location: Option<PlaceBody>,
    /// When it takes leads; always unless told.
    pub working_hours: Option<WorkingHoursBody>,
}

/// A country, or parts of it.
#[derive(ToSchema)]
#[schema(as = Territory)]
pub struct TerritoryBody {
    /// ISO 3166 two-letter code.
    pub country: String,
    /// What follows the country in ISO 3166-2, at most 100; with no postcodes either, the whole country.
    pub regions: Option<Vec<String>>,
    /// Beginnings of postcodes such as `SW`, or ranges of them such as `10-14`, at most 100.
    pub postcodes: Option<Vec<String>>,
}

/// Where somebody is.
#[derive(ToSchema)]
#[schema(as = Place)]
pub struct PlaceBody {
    /// ISO 3166 two-letter code.
    pub country: String,
    /// What follows the country in ISO 3166-2.
    pub region: Option<String>,
    /// The postcode.
    pub postcode: Option<String>,
    /// Decimal degrees, WGS 84; with `longitude`.
    pub latitude: Option<String>,
    /// Decimal degrees, WGS 84; with `latitude`.
    pub longitude: Option<String>,
}

/// When somebody works.
#[derive(ToSchema)]
#[schema(as = WorkingHours)]
pub struct WorkingHoursBody {
    /// IANA time zone.
    pub time_zone: String,
    /// At most four a day.
    pub openings: Vec<OpeningBody>,
    /// Dates on which it is closed, at most 200.
    pub holidays: Option<Vec<String>>,
}

/// An opening of a day.
#[derive(ToSchema)]
#[schema(as = Opening)]
pub struct OpeningBody {
    /// `monday` to `sunday`.
    pub day: String,
    /// A time of day such as `09:00`.
    pub from: String,
    /// A later one, at most `24:00`.
    pub to: String,
}

/// A partner's profile in a program.
#[derive(Serialize, ToSchema)]
#[schema(as = ProfileSaid)]
pub struct ProfileView {
    /// The program.
    pub program: String,
    /// The partner.
    pub partner: String,
    /// When it was last set.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// Counts changes.
    pub version: u64,
    /// As in the request.
    #[serde(flatten)]
    #[schema(value_type = ProfileBody)]
    pub said: Value,
}

/// A partner's profiles.
#[derive(Serialize, ToSchema)]
#[schema(as = ProfileList)]
pub struct ProfileListView {
    /// All of them, by program.
    pub items: Vec<ProfileView>,
}

pub(crate) fn profile(profile: &Profile) -> ProfileView {
    ProfileView {
        program: profile.program.to_string(),
        partner: profile.partner.to_string(),
        updated_at: stamp(profile.updated_at),
        version: profile.version,
        said: profile_json(profile),
    }
}

/// A customer.
#[derive(ToSchema)]
#[schema(as = Customer, example = json!({"name": "Acme GmbH", "country": "DE", "domain": "acme.example", "tax_id": "DE123456789"}))]
pub struct CustomerBody {
    /// Its legal name, at most 160 characters. Names only propose.
    pub name: Option<String>,
    /// ISO 3166 two-letter code.
    pub country: Option<String>,
    /// What follows the country in ISO 3166-2.
    pub region: Option<String>,
    /// The postcode.
    pub postcode: Option<String>,
    /// Decimal degrees, with `longitude`.
    pub latitude: Option<String>,
    /// Decimal degrees, with `latitude`.
    pub longitude: Option<String>,
    /// Its domain or website; what is registered of it counts.
    pub domain: Option<String>,
    /// A mailbox. One at the company's own domain tells that as well, where `domain` does not.
    pub email: Option<String>,
    /// Its tax or VAT id, with the country in front or beside.
    pub tax_id: Option<String>,
    /// Its account in the vendor's CRM.
    pub crm_id: Option<String>,
}

/// An account of the vendor's own, or its open opportunity.
#[derive(ToSchema)]
#[schema(as = Account, example = json!({"customer": {"name": "Acme GmbH", "country": "DE", "domain": "acme.example", "crm_id": "001A"}, "opportunity": "006B", "product_lines": [], "until": "2027-03-31T00:00:00Z"}))]
pub struct AccountBody {
    /// Who it is, by at least one identifier.
    pub customer: CustomerBody,
    /// The open opportunity's id in the CRM, at most 64 characters; absent for the account alone.
    pub opportunity: Option<String>,
    /// Product lines of the program's channel; none named means all.
    pub product_lines: Option<Vec<String>>,
    /// Since when; now unless told.
    #[schema(format = DateTime)]
    pub from: Option<String>,
    /// Until when; in the past for what has ended.
    #[schema(format = DateTime)]
    pub until: Option<String>,
    /// For operators, at most 500 characters.
    pub note: Option<String>,
}

/// A customer that a partner names.
#[derive(ToSchema)]
#[schema(as = Referral, example = json!({"customer": {"name": "Acme GmbH", "country": "DE", "domain": "acme.example"}, "note": "met at the fair"}))]
pub struct ReferralBody {
    /// The partner; its own unless told, and needed from operators.
    pub partner: Option<String>,
    /// Who it is, by at least one identifier.
    pub customer: CustomerBody,
    /// Product lines of the program's channel; none named means all.
    pub product_lines: Option<Vec<String>>,
    /// At most 500 characters.
    pub note: Option<String>,
}

/// A right to a customer.
#[derive(Serialize, ToSchema)]
#[schema(as = CustomerClaim)]
pub struct ClaimView {
    /// Its id: a deal's, a lead's, an account's or referral's own, or a link's or coupon's.
    pub id: String,
    /// `direct`, `deal`, `lead`, `coupon`, `referral` or `click`.
    #[schema(example = "deal")]
    pub kind: &'static str,
    /// The program.
    pub program: String,
    /// The customer; absent for clicks and coupons, and for partners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Whose; absent for the vendor's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// For which product lines; none means all.
    pub product_lines: Vec<String>,
    /// Where; none means everywhere.
    #[schema(value_type = Vec<TerritoryBody>)]
    pub territories: Value,
    /// From when on.
    #[schema(format = DateTime)]
    pub from: String,
    /// Until when, that instant not included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub until: Option<String>,
    /// Its share, where several registered together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0.5")]
    pub share: Option<String>,
    /// What it rests on.
    pub evidence: String,
    /// Counts changes; 0 for clicks and coupons.
    pub version: u64,
}

impl ClaimView {
    /// The view for a partner: the customer's id would tell that others named the same customer.
    pub(crate) fn for_partner_if(mut self, is_partner: bool) -> Self {
        if is_partner {
            self.customer = None;
        }
        self
    }
}

/// Claims.
#[derive(Serialize, ToSchema)]
#[schema(as = CustomerClaimList)]
pub struct ClaimListView {
    /// Newest first.
    pub items: Vec<ClaimView>,
    /// Where to go on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

pub(crate) fn claim(claim: &CustomerClaim) -> ClaimView {
    let CustomerClaim {
        program,
        customer,
        kind,
        id,
        partner,
        product_lines,
        territories,
        from,
        until,
        share,
        is_opportunity: _,
        evidence,
        hashes: _,
        sold_as: _,
        version,
    } = claim;
    ClaimView {
        id: id.clone(),
        kind: kind.name(),
        program: program.to_string(),
        customer: (*version > 0).then(|| customer.to_string()),
        partner: partner.map(|partner| partner.to_string()),
        product_lines: product_lines.clone(),
        territories: territories_json(territories),
        from: stamp(*from),
        until: until.map(stamp),
        share: share.as_ref().map(|share| share.part.to_string()),
        evidence: evidence.clone(),
        version: *version,
    }
}

/// Whose customer is this?
#[derive(ToSchema)]
#[schema(as = ClaimQuestion, example = json!({"customer": {"domain": "acme.example", "name": "Acme GmbH", "country": "DE"}, "at": "2026-11-20T10:00:00Z", "product_lines": ["crm"]}))]
pub struct QuestionBody {
    /// Who it is; by at least one identifier for an answer, by name and country for proposals.
    pub customer: Option<CustomerBody>,
    /// At which moment; now unless told.
    #[schema(format = DateTime)]
    pub at: Option<String>,
    /// For which product lines; any unless told.
    pub product_lines: Option<Vec<String>>,
    /// A coupon that was used.
    pub coupon: Option<String>,
    /// A click of the customer's.
    pub click_id: Option<String>,
    /// The reference under which its conversions are posted (`customer`).
    pub reference: Option<String>,
}

/// A claim that does not win.
#[derive(Serialize, ToSchema)]
#[schema(as = LosingClaim)]
pub struct LoserView {
    /// The claim.
    pub claim: ClaimView,
    /// `outranked`, `later`, `ended`, `not_yet`, `other_products`, `outside_territory`, `no_opportunity`, or why
    /// its partner cannot be credited.
    #[schema(example = "outranked")]
    pub reason: &'static str,
    /// The same in words.
    pub explanation: &'static str,
}

/// A customer whose name is alike.
#[derive(Serialize, ToSchema)]
#[schema(as = SimilarCustomer)]
pub struct SimilarView {
    /// The customer.
    pub customer: String,
    /// Its name.
    pub name: String,
    /// How alike, up to 1000.
    pub score: u16,
}

/// Whose customer it is.
#[derive(Serialize, ToSchema)]
#[schema(as = ClaimAnswer)]
pub struct AnswerView {
    /// At which moment.
    #[schema(format = DateTime)]
    pub at: String,
    /// By which precedence, the strongest kind first.
    pub precedence: Vec<&'static str>,
    /// The customers that the identifiers are of; more than one where two turn out to be one.
    pub customers: Vec<String>,
    /// The claim that wins; absent where nobody has a right to the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<ClaimView>,
    /// Those that were registered together with it, and share with it.
    pub beside: Vec<ClaimView>,
    /// The others, the strongest first.
    pub losers: Vec<LoserView>,
    /// Customers of alike names: proposals, which decide nothing.
    pub similar: Vec<SimilarView>,
}

pub(crate) fn answer(answer: &Answer) -> AnswerView {
    let Answer {
        at,
        precedence,
        customers,
        resolution,
        similar,
    } = answer;
    let mut winners = resolution.winners.iter().map(claim);
    AnswerView {
        at: stamp(*at),
        precedence: precedence.iter().map(|kind| kind.name()).collect(),
        customers: customers.iter().map(ToString::to_string).collect(),
        winner: winners.next(),
        beside: winners.collect(),
        losers: resolution
            .losers
            .iter()
            .map(|(lost, why)| loser(lost, *why))
            .collect(),
        similar: similar.iter().map(shown).collect(),
    }
}

fn loser(lost: &CustomerClaim, why: Lost) -> LoserView {
    LoserView {
        claim: claim(lost),
        reason: why.name(),
        explanation: why.meaning(),
    }
}

fn shown(similar: &Similar) -> SimilarView {
    let Similar {
        customer,
        name,
        score,
    } = similar;
    SimilarView {
        customer: customer.to_string(),
        name: name.clone(),
        score: *score,
    }
}
