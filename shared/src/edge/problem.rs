//! RFC 9457 problems: one table of codes, one place that renders them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::money::MoneyError;
use crate::table;

/// A stable, documented problem code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// What callers match on.
    pub name: &'static str,
    /// The HTTP status it travels with.
    pub status: u16,
    /// What it means, for people.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($constant:ident $name:literal $status:literal $meaning:literal;)*) => {
        /// The codes, by name.
        pub mod codes {
            use super::Code;
            $(#[doc = $meaning] pub const $constant: Code = Code { name: $name, status: $status, meaning: $meaning };)*
        }
        /// Every code there is, as the documentation lists them.
        pub const ALL_CODES: &[Code] = &[$(codes::$constant,)*];
    };
}

codes! {
    MALFORMED_JSON "malformed_json" 400 "The body is not JSON.";
    MALFORMED_BODY "malformed_body" 400 "The body is not what its content type says.";
    MALFORMED_QUERY "malformed_query" 400 "The query string cannot be read.";
    UNAUTHENTICATED "unauthenticated" 401 "No key was sent, or one that is unknown or revoked.";
    TOKEN_INVALID "token_invalid" 401 "The postback token is missing, unknown or rotated out.";
    SIGNATURE_INVALID "signature_invalid" 401 "The webhook signature does not match the body.";
    SIGNATURE_STALE "signature_stale" 401 "The webhook timestamp is more than five minutes away.";
    FORBIDDEN "forbidden" 403 "The key lacks the scope that this asks for.";
    APPROVAL_BY_MAKER "approval_by_maker" 403 "Whoever made a batch cannot approve it; somebody else must.";
    STAKE_IN_ACCOUNT "stake_in_account" 403 "Whoever has a stake in the account cannot approve its deal; somebody else must.";
    NOT_APPROVER "not_approver" 403 "The approval does not wait for this person, or has this person's consent already.";
    NOT_FOUND "not_found" 404 "There is no such thing, or it is not yours.";
    METHOD_NOT_ALLOWED "method_not_allowed" 405 "This path does not take that method.";
    TRANSACTION_MISMATCH "transaction_mismatch" 409 "The transaction was reported before with other facts.";
    REVERSAL_MISMATCH "reversal_mismatch" 409 "The reversal id was used before with another amount.";
    AMENDMENT_MISMATCH "amendment_mismatch" 409 "The amendment id was used before with another amount.";
    TERMS_NOT_ACCEPTED "terms_not_accepted" 409 "The partner has not accepted the program's terms in force, which ask for that first.";
    DISPUTE_OPEN "dispute_open" 409 "The partner has an open dispute about the same.";
    CODE_TAKEN "code_taken" 409 "Another one has that code.";
    RATE_FIXED "rate_fixed" 409 "Another rate or source is stored for that pair and date; stored rates never change.";
    EXISTS "exists" 409 "It exists already.";
    OFFER_EXPIRED "offer_expired" 409 "The offer was not answered in time; the lead has passed on.";
    ALREADY_ACCEPTED "already_accepted" 409 "The lead is accepted already.";
    CUSTOMER_CLAIMED "customer_claimed" 409 "Somebody else has the stronger claim to the customer by now.";
    WRONG_STATE "wrong_state" 409 "Its present state does not allow that.";
    PARTS_MISSING "parts_missing" 409 "Parts of the file were not sent.";
    LIMIT_REACHED "limit_reached" 409 "There are as many of these as there may be.";
    BATCH_NOT_READY "batch_not_ready" 409 "The batch is still being made.";
    APPROVAL_MISSING "approval_missing" 409 "The batch pays more than is paid without a second person's approval.";
    PERIOD_TAKEN "period_taken" 409 "The program has a batch up to that cutoff from that account already.";
    PERIOD_NOT_OVER "period_not_over" 409 "The period has not ended, or only minutes ago.";
    EARLIER_PERIOD_OPEN "earlier_period_open" 409 "An earlier period has to be closed before.";
    IN_FLIGHT "in_flight" 409 "The same idempotency key is being served right now; ask again.";
    CONFLICT "conflict" 409 "It changed at the same moment; read it again and repeat.";
    VERSION_STALE "version_stale" 412 "If-Match names a version that is no longer the current one.";
    BODY_TOO_LARGE "body_too_large" 413 "The body is over the limit.";
    UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" 415 "The content type is not one that is read here.";
    INVALID "invalid" 422 "Several fields are wrong in different ways; see `errors`.";
    REQUIRED "required" 422 "The field is missing.";
    UNKNOWN_FIELD "unknown_field" 422 "The field is not one that is read here.";
    WRONG_TYPE "wrong_type" 422 "The field has another JSON type than it should.";
    DECIMAL_STRING_EXPECTED "decimal_string_expected" 422 "Amounts and rates are decimal strings, not JSON numbers.";
    DECIMAL_MALFORMED "decimal_malformed" 422 "Not a plain decimal such as \"25.00\".";
    AMOUNT_NEGATIVE "amount_negative" 422 "The amount or rate is below zero.";
    AMOUNT_TOO_PRECISE "amount_too_precise" 422 "More digits after the point than the currency or rate allows.";
    AMOUNT_OVER_LIMIT "amount_over_limit" 422 "The amount is over the limit.";
    RATE_OVER_LIMIT "rate_over_limit" 422 "The rate is over the limit: a share over 1, that is 100 %, or an exchange rate that is none.";
    BRACKETS_START "brackets_start" 422 "The first bracket begins at 0.";
    BRACKETS_OVERLAP "brackets_overlap" 422 "Brackets overlap, repeat each other or stand out of order.";
    BRACKETS_GAP "brackets_gap" 422 "Brackets leave a gap: each ends where the next begins, and the last is open.";
    BRACKET_PAY_UNSUPPORTED "bracket_pay_unsupported" 422 "Brackets of that mode and measure cannot pay so.";
    WINDOW_UNSUPPORTED "window_unsupported" 422 "That cannot be computed over such a window.";
    RANGE_EMPTY "range_empty" 422 "The lower bound is not below the upper one, so nothing lies between them.";
    CONDITION_TOO_LARGE "condition_too_large" 422 "The condition nests too deep or tests too much.";
    FILE_DIFFERS "file_differs" 409 "The file would not be byte for byte what was downloaded first.";
    CAP_REPEATED "cap_repeated" 422 "Another cap limits the same over the same time.";
    EFFECTIVE_IN_PAST "effective_in_past" 422 "What was computed already would change; it may take effect from now on.";
    CURRENCY_UNKNOWN "currency_unknown" 422 "Not an ISO 4217 currency code.";
    CURRENCY_SAME "currency_same" 422 "An exchange rate is between two currencies.";
    CURRENCY_MISMATCH "currency_mismatch" 422 "The currency is not that of the program, account or conversion.";
    REVERSAL_OVER_ORIGINAL "reversal_over_original" 422 "More would be taken back than is left of the conversion.";
    ADJUSTMENT_MISMATCH "adjustment_mismatch" 409 "An adjustment of that id was made before with other facts.";
    AMENDMENT_BELOW_REVERSED "amendment_below_reversed" 422 "The amount would be less than what was taken back of the conversion.";
    CURRENCY_UNSUPPORTED "currency_unsupported" 422 "Payments cannot be made in that currency in the way that was asked for.";
    RAIL_UNFIT "rail_unfit" 422 "The account does not reach that rail: sepa takes an IBAN and EUR, nacha a US account and USD.";
    COMPANY_ID_INVALID "company_id_invalid" 422 "Not a company id of ten capital letters and digits.";
    OUTSIDE_SEPA "outside_sepa" 422 "The IBAN is of a country that SEPA credit transfers do not reach.";
    ROW_UNREADABLE "row_unreadable" 422 "The row of a file cannot be read.";
    TOO_LONG "too_long" 422 "More characters or entries than the limit.";
    TOO_SHORT "too_short" 422 "Empty, or fewer characters or entries than needed.";
    NOT_ONE_OF "not_one_of" 422 "Not one of the values that are known here.";
    OUT_OF_RANGE "out_of_range" 422 "The number is outside its range.";
    TIME_MALFORMED "time_malformed" 422 "Not an RFC 3339 time.";
    DATE_MALFORMED "date_malformed" 422 "Not a calendar date such as 2026-11-23.";
    TIME_IN_FUTURE "time_in_future" 422 "The time lies further ahead than is accepted: five minutes for an event.";
    TIME_IN_PAST "time_in_past" 422 "The time has passed already.";
    PERIOD_MALFORMED "period_malformed" 422 "Not a calendar month such as 2026-03.";
    TIME_TOO_OLD "time_too_old" 422 "The time lies further back than is accepted.";
    DISPUTE_LATE "dispute_late" 422 "The event is older than the program's days for disputes.";
    TIME_ZONE_UNKNOWN "time_zone_unknown" 422 "Not a time zone of the IANA database, such as Europe/Berlin.";
    ID_MALFORMED "id_malformed" 422 "Not an id of the expected kind.";
    REFERENCE_UNKNOWN "reference_unknown" 422 "What the field names does not exist.";
    EMAIL_MALFORMED "email_malformed" 422 "Not an email address.";
    DOMAIN_UNFIT "domain_unfit" 422 "Not a domain that one company registered: malformed, a public suffix, or a provider of mailboxes for everybody.";
    COUNTRY_UNKNOWN "country_unknown" 422 "Not an ISO 3166 two-letter country code.";
    CHARACTERS_REFUSED "characters_refused" 422 "The field has characters that are not allowed in it.";
    URL_MALFORMED "url_malformed" 422 "Not an absolute URL.";
    DESTINATION_NOT_HTTPS "destination_not_https" 422 "Visitors are sent to https addresses only.";
    DESTINATION_HOST_REFUSED "destination_host_refused" 422 "The host is not among the program's allowed ones, or holds a placeholder.";
    PLACEHOLDER_UNKNOWN "placeholder_unknown" 422 "The address has a placeholder that nothing fills.";
    NOT_ENROLLED "not_enrolled" 422 "The partner is not enrolled in the program.";
    UPLINE_CYCLE "upline_cycle" 422 "The partner would stand below itself.";
    UPLINE_TOO_DEEP "upline_too_deep" 422 "More than ten partners would stand above the partner.";
    UPLINE_IN_PAST "upline_in_past" 422 "The upline would change from a time on that has passed, over what was paid.";
    PARTNER_SUSPENDED "partner_suspended" 422 "The partner is suspended.";
    TRANSACTION_ID_MISSING "transaction_id_missing" 422 "A conversion needs a transaction id.";
    CLAIM_MISSING "claim_missing" 422 "A conversion needs a click id, a coupon, or what identifies its customer.";
    CLICK_ID_INVALID "click_id_invalid" 422 "The click id was not issued by this program: forged, cut short or foreign.";
    FACTS_IN_QUERY "facts_in_query" 422 "A signed postback states its facts in the body; the signature does not cover the query.";
    IBAN_INVALID "iban_invalid" 422 "The IBAN fails its checksum or its country's format.";
    BIC_INVALID "bic_invalid" 422 "Not a BIC of 8 or 11 characters.";
    ROUTING_NUMBER_INVALID "routing_number_invalid" 422 "The routing number fails its checksum.";
    ACCOUNT_NUMBER_INVALID "account_number_invalid" 422 "Not an account number of 4 to 17 digits.";
    RETURN_FILE_UNREADABLE "return_file_unreadable" 422 "The return file cannot be read as a whole in the format that was named; nothing of it was taken.";
    IDEMPOTENCY_KEY_INVALID "idempotency_key_invalid" 422 "An idempotency key has 1 to 64 visible ASCII characters.";
    IDEMPOTENCY_KEY_REUSED "idempotency_key_reused" 422 "The idempotency key was used for another request.";
    CURSOR_INVALID "cursor_invalid" 422 "The cursor does not belong to this list and filter.";
    HASH_MISMATCH "hash_mismatch" 422 "The hash is of another text than the one that is named.";
    TOKEN_UNUSABLE "token_unusable" 422 "The token is forged, used up, out of date, or another was sent since.";
    IF_MATCH_MISSING "if_match_missing" 428 "A change states the version it is based on, in If-Match.";
    RATE_LIMITED "rate_limited" 429 "Too many of these came from there within an hour; try again later.";
    CHALLENGE_INVALID "challenge_invalid" 422 "The challenge was not issued for this form, is too old or was answered before.";
    WORK_MISSING "work_missing" 422 "The nonce does not do the work that the challenge asks for.";
    DAILY_LIMIT "daily_limit" 429 "As many were registered today as a day may bring; go on tomorrow.";
    INTERNAL "internal" 500 "Something failed here; the request id finds it in the log.";
    BUSY "busy" 503 "The store is busy or an index is behind; repeat the request, nothing was lost.";
}

/// One field that is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Path of the field, such as `components[1].rate`.
    pub field: String,
    /// One of the documented codes.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// The reason in words.
    pub reason: String,
}

/// An answer that is not a success. Rendered as `application/problem+json`.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
}

/// The wire form of a problem.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// `urn:tributary:problem:<code>`.
    r#type: String,
    /// The code's meaning.
    title: &'a str,
    /// The HTTP status, repeated.
    status: u16,
    /// What is the matter with this request.
    detail: &'a str,
    /// The stable code.
    code: &'a str,
    /// Every wrong field.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem about the request as a whole.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// A problem with one field.
    #[must_use]
    pub fn field(code: Code, field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::fields(vec![(code, field.into(), reason.into())])
    }

    /// A problem with several fields: the code they share, or `invalid` when they differ.
    #[must_use]
    pub fn fields(wrong: Vec<(Code, String, String)>) -> Self {
        let mut distinct = wrong.iter().map(|(code, ..)| *code);
        let first = distinct.next().unwrap_or(codes::INVALID);
        let code = if distinct.all(|code| code == first) {
            first
        } else {
            codes::INVALID
        };
        let detail = match wrong.as_slice() {
            [(_, field, reason)] => format!("{field}: {reason}"),
            several => format!("{} fields are wrong", several.len()),
        };
        let errors = wrong
            .into_iter()
            .map(|(code, field, reason)| FieldError {
                field,
                code: code.name,
                reason,
            })
            .collect();
        Self {
            code,
            detail,
            errors,
        }
    }

    /// The same about the fields of an object within the request.
    #[must_use]
    pub fn within(mut self, object: &str) -> Self {
        if let [error] = self.errors.as_slice() {
            self.detail = format!("{object}.{}: {}", error.field, error.reason);
        }
        for error in &mut self.errors {
            error.field = format!("{object}.{}", error.field);
        }
        self
    }

    /// 404 for what is absent or somebody else's.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(codes::NOT_FOUND, format!("there is no such {what}"))
    }

    /// 422 for terms that would change what was computed already.
    #[must_use]
    pub fn effective_in_past(field: &str) -> Self {
        Self::field(
            codes::EFFECTIVE_IN_PAST,
            field,
            "lies in the past, and commissions computed since then stay as they are; leave it out or let it \
             begin from now on, and settle the past by adjustments, after a what-if run if need be",
        )
    }

    /// 500; `error` goes to the log only.
    #[must_use]
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(codes::INTERNAL, codes::INTERNAL.meaning)
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The fields that are wrong.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// What is the matter, in words.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = ProblemBody {
            r#type: format!("urn:tributary:problem:{}", self.code.name),
            title: self.code.meaning,
            status: self.code.status,
            detail: &self.detail,
            code: self.code.name,
            errors: &self.errors,
        };
        let mut response = (status, axum::Json(body)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<table::Error> for Problem {
    fn from(error: table::Error) -> Self {
        match error {
            table::Error::Busy(reason) => {
                tracing::warn!(reason, "the table is busy");
                Self::new(codes::BUSY, codes::BUSY.meaning)
            }
            other => Self::internal(&other),
        }
    }
}

/// The code for what is wrong with an amount, rate or currency.
impl From<MoneyError> for Code {
    fn from(error: MoneyError) -> Self {
        match error {
            MoneyError::UnknownCurrency => codes::CURRENCY_UNKNOWN,
            MoneyError::NotDecimal => codes::DECIMAL_MALFORMED,
            MoneyError::TooPrecise => codes::AMOUNT_TOO_PRECISE,
            MoneyError::Negative => codes::AMOUNT_NEGATIVE,
            MoneyError::OverLimit => codes::AMOUNT_OVER_LIMIT,
            MoneyError::CurrencyMismatch => codes::CURRENCY_MISMATCH,
        }
    }
}
