//! Every URL of the portal, in one table.
//!
//! A row reads `METHOD "template" operation_id Access => handler, takes Request, gives status Answer;`.
//! Behind that, a list says by what it can be filtered, `by ["state"]`, and any read what else its query
//! may say, `asks ["wait"]`. All of it feeds `/api/openapi.json`. The table is what the permission tests enumerate:
//! access is declared here and enforced in [`crate::access`], never in a handler.
//!
//! Paths under `/api/` answer JSON and problem bodies, all others answer pages.

mod finding;
mod model;

pub use finding::{Found, find};
pub use model::*;

use crate::access::Access::{Development, Edge, Member, Operator, Public, Session, Tick};
use crate::agreements::Version;
use crate::agreements::acceptance::AcceptanceRequest;
use crate::agreements::publishing::{AgreementRequest, VersionRequest};
use crate::agreements::routes::{
    AcceptanceAnswer, AcceptanceList, AgreementCreated, AgreementList, EvidenceKey, StandingList,
};
use crate::audit::routes::AuditRecordList;
use crate::organisations::OperatorRole;
use crate::organisations::closing::{AccountClosure, OrganisationClosure};
use crate::organisations::invitations::{
    AcceptInvitationRequest, Invitation, InvitationList, InvitationRequest,
};
use crate::organisations::language::{LanguageChoice, LanguageList};
use crate::organisations::log_in::{LogInRequest, SessionAnswer};
use crate::organisations::members::{MemberList, RoleRequest, TransferRequest};
use crate::organisations::operator::{
    OrganisationList, StaffList, StaffRequest, SuspensionRequest,
};
use crate::organisations::recovery::{
    ChangeEmailRequest, ChangePasswordRequest, NewPasswordRequest, ResetRequest, TokenRequest,
};
use crate::organisations::registration::{RegistrationAnswer, RegistrationRequest, ResendRequest};
use crate::organisations::routes::{AccountView, Acknowledged, OrganisationRequest, SessionList};
use crate::organisations::second_factor::{CodeRequest, RecoveryCodes, TotpSetup};
use crate::organisations::store::Organisation;
use crate::organisations::verification::VerificationRequest;
use crate::visitors::{VisitorRequest, VisitorView};
use crate::{
    agreements, analytics, apps, audit, billing, brand, catalogue, credentials, directory, edges,
    emails, fidelity, guides, home, installations, listings, metering, oauth, organisations,
    partners, passkeys, reference, reviews, search, seed, sign_on, subscriptions, threads,
    visitors, web, webhooks,
};
macro_rules! routes {
    ($($method:ident $template:literal $operation:ident $access:expr => $handler:path
        $(, takes $takes:ty)? $(, gives $status:literal $($gives:ty)?)?
        $(, by [$($by:literal),*])? $(, asks [$($asks:literal),*])?;)*) => {
        /// The table.
        pub static ROUTES: &[Route] = &[$(Route {
            method: http::Method::$method,
            template: $template,
            operation_id: stringify!($operation),
            access: $access,
            handler: |context| Box::pin($handler(context)),
            takes: routes!(@takes $($takes)?),
            gives: routes!(@gives $($status $($gives)?)?),
            filters: routes!(@by $([$($by),*])?),
            asks: &[$($($asks),*)?],
        }),*];
    };
    (@by) => { None };
    (@by [$($by:literal),*]) => { Some(&[$($by),*]) };
    (@takes) => { None };
    (@takes $takes:ty) => { Some(|generator| generator.subschema_for::<$takes>()) };
    (@gives) => { None };
    (@gives $status:literal) => { Some(($status, None)) };
    (@gives $status:literal $gives:ty) => { Some(($status, Some(|generator| generator.subschema_for::<$gives>()))) };
}

routes! {
    // The portal itself
    GET "/healthz" get_health Public => web::health::get_health;
    GET "/api/openapi.json" get_openapi Public => web::openapi::get_openapi;
    GET "/assets/{file}" get_asset Public => web::assets::get_asset;
    GET "/dev/outbox" list_outbox Development => emails::list_outbox;

    // People
    POST "/api/v1/visitors" open_visitor Public => visitors::open_visitor, takes VisitorRequest, gives 201 VisitorView;
    POST "/api/v1/registrations" register Public => organisations::routes::register, takes RegistrationRequest, gives 202 RegistrationAnswer;
    POST "/api/v1/registrations/resend" resend_verification Public => organisations::routes::resend_verification, takes ResendRequest, gives 202 Acknowledged;
    POST "/api/v1/verifications" verify_registration Public => organisations::routes::verify, takes VerificationRequest, gives 201 SessionAnswer;
    POST "/api/v1/sessions" create_session Public => organisations::routes::create_session, takes LogInRequest, gives 201 SessionAnswer;
    GET "/api/v1/sessions" list_sessions Session => organisations::routes::list_sessions, gives 200 SessionList, by [];
    DELETE "/api/v1/sessions/{session_id}" revoke_session Session => organisations::routes::revoke_session, gives 204;
    POST "/api/v1/password-resets" request_password_reset Public => organisations::routes::request_password_reset, takes ResetRequest, gives 202 Acknowledged;
    POST "/api/v1/password-resets/complete" complete_password_reset Public => organisations::routes::complete_password_reset, takes NewPasswordRequest, gives 204;
    GET "/api/v1/account" get_account Session => organisations::routes::get_account, gives 200 AccountView;
    GET "/api/v1/languages" list_languages Public => organisations::language::list_languages, gives 200 LanguageList, by [];
    PUT "/api/v1/account/language" put_language Session => organisations::language::put_language, takes LanguageChoice, gives 204;
    POST "/api/v1/account/password" change_password Session => organisations::routes::change_password, takes ChangePasswordRequest, gives 204;
    POST "/api/v1/account/email" request_email_change Session => organisations::routes::request_email_change, takes ChangeEmailRequest, gives 202 Acknowledged;
    POST "/api/v1/account/email/confirm" confirm_email_change Public => organisations::routes::confirm_email_change, takes TokenRequest, gives 204;
    POST "/api/v1/account/totp" begin_totp Session => organisations::routes::begin_totp, gives 201 TotpSetup;
    POST "/api/v1/account/totp/enable" enable_totp Session => organisations::routes::enable_totp, takes CodeRequest, gives 200 RecoveryCodes;
    POST "/api/v1/account/totp/disable" disable_totp Session => organisations::routes::disable_totp, takes CodeRequest, gives 204;
    GET "/api/v1/account/export" export_account Session => organisations::export::export_account;
    POST "/api/v1/account/closure" close_account Session => organisations::routes::close_account, takes AccountClosure, gives 204;
    GET "/api/v1/account/passkeys" list_passkeys Session => passkeys::list_passkeys, gives 200 passkeys::PasskeyList, by [];
    POST "/api/v1/account/passkeys/options" begin_passkey Session => passkeys::begin_passkey, takes passkeys::ConfirmationBody, gives 200 passkeys::PasskeyOptions;
    POST "/api/v1/account/passkeys" add_passkey Session => passkeys::add_passkey, takes passkeys::PasskeyBody, gives 201;
    DELETE "/api/v1/account/passkeys/{passkey_id}" remove_passkey Session => passkeys::remove_passkey, takes passkeys::ConfirmationBody, gives 204;
    POST "/api/v1/sessions/passkey-options" begin_passkey_log_in Public => passkeys::begin_passkey_log_in, gives 200 passkeys::PasskeyOptions;
    POST "/api/v1/sessions/passkey" create_passkey_session Public => passkeys::create_passkey_session, takes passkeys::PasskeyLogInBody, gives 201 SessionAnswer;
    POST "/api/v1/sessions/sign-on" start_sign_on Public => sign_on::start_sign_on, takes sign_on::SignOnBody, gives 200 sign_on::SignOnStarted;
    POST "/api/v1/sessions/sign-on/complete" complete_sign_on Public => sign_on::complete_sign_on, takes sign_on::SignOnAnswerBody, gives 201 SessionAnswer;
    GET "/api/v1/organisations/{organisation_id}/identity-provider" show_identity_provider Member(OWNERS) => sign_on::show_identity_provider, gives 200 sign_on::IdentityProviderAnswer;
    PUT "/api/v1/organisations/{organisation_id}/identity-provider" put_identity_provider Member(OWNERS) => sign_on::put_identity_provider, takes sign_on::IdentityProviderBody, gives 200 sign_on::IdentityProviderAnswer;
    DELETE "/api/v1/organisations/{organisation_id}/identity-provider" delete_identity_provider Member(OWNERS) => sign_on::delete_identity_provider, gives 204;
    POST "/api/v1/organisations/{organisation_id}/identity-provider/domain-checks" check_identity_provider_domain Member(OWNERS) => sign_on::check_domain, gives 200 sign_on::IdentityProviderAnswer;

    // Organisations
    POST "/api/v1/organisations" create_organisation Session => organisations::routes::create_organisation, takes OrganisationRequest, gives 201 Organisation;
    GET "/api/v1/organisations/{organisation_id}" get_organisation Member(ANY_MEMBER) => organisations::routes::get_organisation, gives 200 Organisation;
    PATCH "/api/v1/organisations/{organisation_id}" update_organisation Member(OWNERS) => organisations::routes::update_organisation, takes OrganisationRequest, gives 200 Organisation;
    POST "/api/v1/organisations/{organisation_id}/closure" close_organisation Member(OWNERS) => organisations::routes::close_organisation, takes OrganisationClosure, gives 204;
    GET "/api/v1/organisations/{organisation_id}/members" list_members Member(ANY_MEMBER) => organisations::routes::list_members, gives 200 MemberList, by ["role"];
    PATCH "/api/v1/organisations/{organisation_id}/members/{member_id}" change_member_role Member(OWNERS) => organisations::routes::change_member_role, takes RoleRequest, gives 204;
    DELETE "/api/v1/organisations/{organisation_id}/members/{member_id}" remove_member Member(OWNERS) => organisations::routes::remove_member, gives 204;
    POST "/api/v1/organisations/{organisation_id}/leave" leave_organisation Member(ANY_MEMBER) => organisations::routes::leave_organisation, gives 204;
    POST "/api/v1/organisations/{organisation_id}/ownership-transfer" transfer_ownership Member(OWNERS) => organisations::routes::transfer_ownership, takes TransferRequest, gives 204;
    GET "/api/v1/organisations/{organisation_id}/invitations" list_invitations Member(OWNERS) => organisations::routes::list_invitations, gives 200 InvitationList, by ["role"];
    POST "/api/v1/organisations/{organisation_id}/invitations" create_invitation Member(OWNERS) => organisations::routes::create_invitation, takes InvitationRequest, gives 201 Invitation;
    DELETE "/api/v1/organisations/{organisation_id}/invitations/{invitation_id}" revoke_invitation Member(OWNERS) => organisations::routes::revoke_invitation, gives 204;
    // Pages of people
    GET "/" show_home Public => visitors::show_home;
    POST "/language" submit_language Public => organisations::language::submit_language;
    POST "/first-call" submit_first_call Public => visitors::call_as_visitor;
    GET "/register" show_register Public => organisations::pages::show_register;
    POST "/register" submit_registration Public => organisations::pages::register;
    POST "/register/resend" submit_resend Public => organisations::pages::resend;
    GET "/check-your-mail" show_check_mail Public => organisations::pages::show_check_mail;
    GET "/verify" show_verify Public => organisations::pages::show_verify;
    POST "/verify" submit_verification Public => organisations::pages::verify;
    GET "/log-in" show_log_in Public => organisations::pages::show_log_in;
    POST "/log-in" submit_log_in Public => organisations::pages::log_in;
    POST "/log-in/code" submit_second_factor Public => organisations::pages::finish_log_in;
    POST "/log-in/passkey" submit_passkey_log_in Public => passkeys::submit_passkey_log_in;
    GET "/account/passkeys" show_passkeys Session => passkeys::show_passkeys;
    POST "/account/passkeys" submit_passkey Session => passkeys::submit_passkey;
    POST "/account/passkeys/{passkey_id}/remove" submit_passkey_removal Session => passkeys::submit_passkey_removal;
    GET "/log-in/sign-on" show_sign_on Public => sign_on::show_sign_on;
    POST "/log-in/sign-on" submit_sign_on Public => sign_on::submit_sign_on;
    GET "/log-in/callback" finish_sign_on Public => sign_on::finish_sign_on;
    GET "/organisations/{organisation_id}/sign-on" show_identity_provider_page Member(OWNERS) => sign_on::show_identity_provider_page;
    POST "/organisations/{organisation_id}/sign-on" submit_identity_provider Member(OWNERS) => sign_on::submit_identity_provider;
    POST "/organisations/{organisation_id}/sign-on/domain-checks" submit_domain_check Member(OWNERS) => sign_on::submit_domain_check;
    POST "/organisations/{organisation_id}/sign-on/remove" submit_identity_provider_removal Member(OWNERS) => sign_on::submit_identity_provider_removal;
    POST "/log-out" submit_log_out Session => organisations::pages::log_out;
    GET "/reset-password" show_reset Public => organisations::pages::show_reset;
    POST "/reset-password" submit_reset Public => organisations::pages::request_reset;
    GET "/reset-password/new" show_new_password Public => organisations::pages::show_new_password;
    POST "/reset-password/new" submit_new_password Public => organisations::pages::reset_password;
    GET "/account" show_account Session => organisations::pages::show_account;
    POST "/account/password" submit_password Session => organisations::pages::change_password;
    POST "/account/email" submit_email Session => organisations::pages::request_email_change;
    GET "/account/email" show_confirm_email Public => organisations::pages::show_confirm_email;
    POST "/account/email/confirm" submit_confirm_email Public => organisations::pages::confirm_email;
    POST "/account/totp" submit_totp Session => organisations::pages::begin_totp;
    POST "/account/totp/enable" submit_totp_enable Session => organisations::pages::enable_totp;
    POST "/account/totp/disable" submit_totp_disable Session => organisations::pages::disable_totp;
    POST "/account/closure" submit_account_closure Session => organisations::pages::close_account;
    POST "/account/sessions/{session_id}/end" submit_session_end Session => organisations::pages::end_session;
    GET "/invitations" show_invitation Public => organisations::organisation_pages::show_invitation;
    POST "/invitations" submit_invitation_acceptance Public => organisations::organisation_pages::accept_invitation;
    GET "/help/{code}" show_help Public => web::help::show_help;

    // Pages of an organisation
    GET "/organisations" show_organisations Session => organisations::organisation_pages::show_organisations;
    POST "/organisations" submit_organisation Session => organisations::organisation_pages::create_organisation;
    GET "/organisations/{organisation_id}" show_partner_home Member(ANY_MEMBER) => home::show_partner_home;
    POST "/organisations/{organisation_id}/first-key" submit_first_key Member(BUILDERS) => home::issue_first_key;
    GET "/api/v1/organisations/{organisation_id}/activity" show_activity Member(ANY_MEMBER) => home::show_activity, gives 200 home::Activity;
    GET "/organisations/{organisation_id}/settings" show_organisation Member(ANY_MEMBER) => organisations::organisation_pages::show_organisation;
    POST "/organisations/{organisation_id}/name" submit_organisation_name Member(OWNERS) => organisations::organisation_pages::rename;
    POST "/organisations/{organisation_id}/closure" submit_organisation_closure Member(OWNERS) => organisations::organisation_pages::close;
    GET "/organisations/{organisation_id}/members" show_members Member(ANY_MEMBER) => organisations::organisation_pages::show_members, by ["role"];
    POST "/organisations/{organisation_id}/members/{member_id}/role" submit_member_role Member(OWNERS) => organisations::organisation_pages::change_role;
    POST "/organisations/{organisation_id}/members/{member_id}/remove" submit_member_removal Member(OWNERS) => organisations::organisation_pages::remove_member;
    POST "/organisations/{organisation_id}/invitations" submit_invitation Member(OWNERS) => organisations::organisation_pages::invite;
    POST "/organisations/{organisation_id}/invitations/{invitation_id}/revoke" submit_invitation_revocation Member(OWNERS) => organisations::organisation_pages::revoke_invitation;
    POST "/organisations/{organisation_id}/ownership-transfer" submit_ownership_transfer Member(OWNERS) => organisations::organisation_pages::transfer_ownership;
    POST "/organisations/{organisation_id}/leave" submit_leave Member(ANY_MEMBER) => organisations::organisation_pages::leave;
    GET "/organisations/{organisation_id}/agreements" show_agreements Member(ANY_MEMBER) => agreements::pages::show_agreements;
    GET "/organisations/{organisation_id}/agreements/{agreement_id}" show_agreement Member(ANY_MEMBER) => agreements::pages::show_agreement;
    POST "/organisations/{organisation_id}/agreements/{agreement_id}" submit_acceptance Member(OWNERS) => agreements::pages::accept;
    GET "/organisations/{organisation_id}/acceptances/{acceptance_id}/evidence" download_evidence Member(ANY_MEMBER) => agreements::pages::download_evidence;
    GET "/operator/agreements" show_all_agreements Operator(OperatorRole::ANY) => agreements::pages::show_all_agreements;
    POST "/operator/agreements" submit_agreement Operator(LAWYERS) => agreements::pages::create_agreement;
    POST "/operator/agreements/{agreement_id}/versions" submit_agreement_version Operator(LAWYERS) => agreements::pages::publish_version;

    // Agreements
    GET "/api/v1/agreements" list_agreements Public => agreements::routes::list_agreements, gives 200 AgreementList, by ["kind"];
    GET "/api/v1/agreement-versions/{agreement_version_id}/document" get_agreement_document Public => agreements::routes::get_document, gives 200;
    GET "/api/v1/evidence-key" get_evidence_key Public => agreements::routes::get_evidence_key, gives 200 EvidenceKey;
    GET "/api/v1/organisations/{organisation_id}/agreements" list_organisation_agreements Member(ANY_MEMBER) => agreements::routes::list_organisation_agreements, gives 200 StandingList, by ["kind", "state"];
    POST "/api/v1/organisations/{organisation_id}/acceptances" create_acceptance Member(OWNERS) => agreements::routes::create_acceptance, takes AcceptanceRequest, gives 201 AcceptanceAnswer;
    GET "/api/v1/organisations/{organisation_id}/acceptances" list_acceptances Member(ANY_MEMBER) => agreements::routes::list_acceptances, gives 200 AcceptanceList, by [];
    GET "/api/v1/organisations/{organisation_id}/acceptances/{acceptance_id}/evidence" get_evidence Member(ANY_MEMBER) => agreements::routes::get_evidence, gives 200;
    GET "/api/v1/operator/agreements" list_all_agreements Operator(OperatorRole::ANY) => agreements::routes::list_all_agreements, gives 200 AgreementList, by ["kind"];
    POST "/api/v1/operator/agreements" create_agreement Operator(LAWYERS) => agreements::routes::create_agreement, takes AgreementRequest, gives 201 AgreementCreated;
    POST "/api/v1/operator/agreements/{agreement_id}/versions" publish_agreement_version Operator(LAWYERS) => agreements::routes::publish_version, takes VersionRequest, gives 201 Version;
    GET "/api/v1/operator/acceptances/export" export_acceptances Operator(LAWYERS) => agreements::routes::export_acceptances, gives 200;

    // The operator's staff and partners
    GET "/operator" show_operator_home Operator(OperatorRole::ANY) => home::show_operator_home;
    GET "/api/v1/operator/home" read_operator_home Operator(OperatorRole::ANY) => home::read_operator_home, gives 200 home::OperatorHome;
    GET "/api/v1/operator/staff" list_staff Operator(OperatorRole::ANY) => organisations::operator::list_staff, gives 200 StaffList, by ["role"];
    POST "/api/v1/operator/staff" add_staff Operator(ADMINISTRATORS) => organisations::operator::add_staff, takes StaffRequest, gives 200 StaffList;
    DELETE "/api/v1/operator/staff/{person_id}/{role}" remove_staff Operator(ADMINISTRATORS) => organisations::operator::remove_staff, gives 204;
    DELETE "/api/v1/operator/people/{person_id}/sessions" end_sessions_of_person Operator(ADMINISTRATORS) => organisations::operator::end_sessions, gives 204;
    GET "/api/v1/operator/organisations" list_organisations Operator(OperatorRole::ANY) => organisations::operator::list_organisations, gives 200 OrganisationList, by ["partner_type", "tier", "tag"];
    POST "/api/v1/operator/organisations/{organisation_id}/suspension" suspend_organisation Operator(MANAGERS) => organisations::operator::suspend_organisation, takes SuspensionRequest, gives 200 Organisation;
    DELETE "/api/v1/operator/organisations/{organisation_id}/suspension" release_organisation Operator(MANAGERS) => organisations::operator::release_organisation, gives 200 Organisation;

    // Partner types, tiers, tags, access, invitations to the programme
    GET "/operator/partners" show_partners Operator(OperatorRole::ANY) => partners::show_partners, by ["partner_type", "tier", "tag"];
    POST "/operator/partners/{organisation_id}" submit_partner Operator(MANAGERS) => partners::submit_partner;
    POST "/operator/partners" submit_partner_changes Operator(MANAGERS) => partners::submit_partner_changes;
    POST "/api/v1/operator/partner-changes" change_partners Operator(MANAGERS) => partners::change_partners, takes partners::PartnerChangesBody, gives 200 web::bulk::BulkResults;
    GET "/operator/access" show_access Operator(OperatorRole::ANY) => partners::show_access;
    POST "/operator/access/types" submit_partner_type Operator(MANAGERS) => partners::submit_partner_type;
    POST "/operator/access/tiers" submit_tier Operator(MANAGERS) => partners::submit_tier;
    POST "/operator/access/matrix/{partner_type}" submit_access_matrix Operator(MANAGERS) => partners::submit_access_matrix;
    GET "/operator/invitations" show_programme_invitations Operator(OperatorRole::ANY) => partners::show_programme_invitations, by ["tag", "state", "partner_type", "tier"];
    POST "/operator/invitations" submit_programme_invitations Operator(MANAGERS) => partners::submit_programme_invitations;
    POST "/operator/invitations/{programme_invitation_id}/revoke" submit_programme_invitation_revocation Operator(MANAGERS) => partners::submit_programme_invitation_revocation;
    POST "/operator/invitation-changes" submit_programme_invitation_changes Operator(MANAGERS) => partners::submit_programme_invitation_changes;
    POST "/api/v1/operator/invitation-changes" change_programme_invitations Operator(MANAGERS) => partners::change_programme_invitations, takes partners::InvitationChangesBody, gives 200 web::bulk::BulkResults;
    POST "/api/v1/operator/invitations/{programme_invitation_id}/resends" resend_programme_invitation Operator(MANAGERS) => partners::resend_programme_invitation, gives 204;
    GET "/join" show_join Public => partners::show_join;
    POST "/join" submit_join Public => partners::submit_join;
    GET "/api/v1/operator/organisations/{organisation_id}" show_partner Operator(OperatorRole::ANY) => partners::show_attributes, gives 200 partners::AttributesView;
    PATCH "/api/v1/operator/organisations/{organisation_id}" change_partner Operator(MANAGERS) => partners::change_attributes, takes partners::AttributesBody, gives 200 partners::AttributesView;
    GET "/api/v1/operator/partner-types" list_partner_types Operator(OperatorRole::ANY) => partners::list_partner_types, gives 200 partners::PartnerTypeList, by [];
    PUT "/api/v1/operator/partner-types/{partner_type}" put_partner_type Operator(MANAGERS) => partners::put_partner_type, takes partners::PartnerTypeBody, gives 200 partners::PartnerTypeList;
    DELETE "/api/v1/operator/partner-types/{partner_type}" delete_partner_type Operator(MANAGERS) => partners::delete_partner_type, gives 204;
    GET "/api/v1/operator/tiers" list_tiers Operator(OperatorRole::ANY) => partners::list_tiers, gives 200 partners::TierList, by [];
    PUT "/api/v1/operator/tiers/{tier}" put_tier Operator(MANAGERS) => partners::put_tier, takes partners::TierBody, gives 200 partners::TierList;
    PUT "/api/v1/operator/tiers/{tier}/rules" put_tier_rules Operator(MANAGERS) => partners::put_tier_rules, takes partners::TierRulesBody, gives 200 partners::TieringView;
    GET "/api/v1/operator/tiering" show_tiering Operator(OperatorRole::ANY) => partners::show_tiering, gives 200 partners::TieringView;
    PUT "/api/v1/operator/tiering" put_tiering Operator(MANAGERS) => partners::put_tiering, takes partners::TieringBody, gives 200 partners::TieringView;
    POST "/api/v1/operator/tiering/preview" preview_tiering Operator(OperatorRole::ANY) => partners::preview_tiering, takes partners::PreviewBody, gives 200 partners::MoveList;
    POST "/api/v1/operator/tiering/runs" run_tiering Operator(MANAGERS) => partners::run_tiering, gives 200 partners::MoveList;
    GET "/api/v1/operator/organisations/{organisation_id}/tier-changes" list_tier_changes Operator(OperatorRole::ANY) => partners::list_tier_changes, gives 200 partners::TierChangeList, by ["from", "to"];
    DELETE "/api/v1/operator/organisations/{organisation_id}/tier-hold" release_tier Operator(MANAGERS) => partners::release_tier, gives 204;
    GET "/operator/tiers" show_tiers_page Operator(OperatorRole::ANY) => partners::show_tiers_page;
    POST "/operator/tiers/{tier}/rules" submit_tier_rules Operator(MANAGERS) => partners::submit_tier_rules;
    POST "/operator/tiers/{tier}/preview" submit_tier_preview Operator(MANAGERS) => partners::submit_tier_preview;
    POST "/operator/tiering" submit_tiering Operator(MANAGERS) => partners::submit_tiering;
    POST "/operator/tiering/runs" submit_tiering_run Operator(MANAGERS) => partners::submit_tiering_run;
    POST "/operator/partners/{organisation_id}/tier-hold/remove" submit_tier_release Operator(MANAGERS) => partners::submit_tier_release;
    DELETE "/api/v1/operator/tiers/{tier}" delete_tier Operator(MANAGERS) => partners::delete_tier, gives 204;
    GET "/api/v1/operator/access-matrix" show_access_matrix Operator(OperatorRole::ANY) => partners::show_access_matrix, gives 200 partners::AccessMatrix;
    PATCH "/api/v1/operator/access-matrix/{partner_type}" change_access_matrix Operator(MANAGERS) => partners::change_access_matrix, takes partners::MatrixBody, gives 200 partners::Consequences;
    GET "/api/v1/operator/invitations" list_programme_invitations Operator(OperatorRole::ANY) => partners::list_programme_invitations, gives 200 partners::ProgrammeInvitationList, by ["tag", "state", "partner_type", "tier"];
    POST "/api/v1/operator/invitations" invite_partners Operator(MANAGERS) => partners::invite_partners, takes partners::ProgrammeInvitationsBody, gives 200 partners::RowResults;
    DELETE "/api/v1/operator/invitations/{programme_invitation_id}" revoke_programme_invitation Operator(MANAGERS) => partners::revoke_programme_invitation, gives 204;
    POST "/api/v1/programme-invitations/accept" accept_programme_invitation Public => partners::accept_programme_invitation, takes partners::JoinBody, gives 201 SessionAnswer;

    // Audit log
    GET "/api/v1/organisations/{organisation_id}/audit-records" list_audit_records Member(ANY_MEMBER) => audit::routes::list_audit_records, gives 200 AuditRecordList, by ["actor", "action", "object", "from", "until"];
    GET "/operator/audit" show_audit_log Operator(ADMINISTRATORS) => audit::show_audit_log, by ["actor", "action", "object", "organisation_id", "from", "until"];
    GET "/api/v1/operator/audit-records" list_all_audit_records Operator(ADMINISTRATORS) => audit::routes::list_all_audit_records, gives 200 AuditRecordList, by ["actor", "action", "object", "organisation_id", "from", "until"];
    GET "/api/v1/operator/audit-log/export" export_audit_log Operator(ADMINISTRATORS) => audit::routes::export_audit_log, gives 200;
    POST "/api/v1/invitations/accept" accept_invitation Public => organisations::routes::accept_invitation, takes AcceptInvitationRequest, gives 201 SessionAnswer;

    // Apps and credentials
    GET "/api/v1/organisations/{organisation_id}/apps" list_apps Member(ANY_MEMBER) => apps::list_apps, gives 200 apps::AppList, by ["state"];
    POST "/api/v1/organisations/{organisation_id}/apps" create_app Member(BUILDERS) => apps::create_app, takes apps::AppBody, gives 201 apps::AppView;
    GET "/api/v1/apps/{app_id}" show_app Member(ANY_MEMBER) => apps::show_app, gives 200 apps::AppView;
    PATCH "/api/v1/apps/{app_id}" update_app Member(BUILDERS) => apps::update_app, takes apps::AppBody, gives 200 apps::AppView;
    DELETE "/api/v1/apps/{app_id}" delete_app Member(BUILDERS) => apps::delete_app, gives 204;
    GET "/api/v1/apps/{app_id}/credentials" list_credentials Member(ANY_MEMBER) => credentials::list_credentials, gives 200 credentials::CredentialList, by ["environment"];
    POST "/api/v1/apps/{app_id}/credentials" issue_credential Member(BUILDERS) => credentials::issue_credential, takes credentials::CredentialBody, gives 201 credentials::IssuedView, asks ["wait"];
    GET "/api/v1/apps/{app_id}/credentials/{credential_id}" show_credential Member(ANY_MEMBER) => credentials::show_credential, gives 200 credentials::CredentialView, asks ["wait"];
    DELETE "/api/v1/apps/{app_id}/credentials/{credential_id}" revoke_credential Member(BUILDERS) => credentials::revoke_credential, gives 200 credentials::CredentialView, asks ["wait"];
    POST "/api/v1/apps/{app_id}/credentials/{credential_id}/rotations" rotate_credential Member(BUILDERS) => credentials::rotate_credential, takes credentials::RotationBody, gives 201 credentials::IssuedView, asks ["wait"];

    POST "/api/v1/apps/{app_id}/credential-revocations" revoke_credentials Member(BUILDERS) => credentials::revoke_credentials, takes credentials::RevocationsBody, gives 200 web::bulk::BulkResults;
    POST "/apps/{app_id}/credential-revocations" submit_revocations Member(BUILDERS) => credentials::revoke_credentials_form;
    GET "/organisations/{organisation_id}/apps" show_apps Member(ANY_MEMBER) => apps::list_apps_page, by ["state"];
    POST "/organisations/{organisation_id}/apps" submit_app Member(BUILDERS) => apps::create_app_form;
    GET "/apps/{app_id}" show_app_page Member(ANY_MEMBER) => apps::show_app_page;
    GET "/apps/{app_id}/credentials" show_credentials Member(ANY_MEMBER) => credentials::show_credentials_page, by ["environment"];
    POST "/apps/{app_id}/credentials" submit_credential Member(BUILDERS) => credentials::issue_credential_form;
    POST "/apps/{app_id}/credentials/{credential_id}/rotate" submit_rotation Member(BUILDERS) => credentials::rotate_credential_form;
    POST "/apps/{app_id}/credentials/{credential_id}/revoke" submit_revocation Member(BUILDERS) => credentials::revoke_credential_form;

    // Usage
    GET "/apps/{app_id}/usage" show_usage_page Member(ANY_MEMBER) => metering::show_usage_page, by ["environment", "granularity", "status"];
    GET "/api/v1/apps/{app_id}/usage" show_usage Member(ANY_MEMBER) => metering::show_usage, gives 200 metering::UsageView;
    GET "/api/v1/apps/{app_id}/requests" list_requests Member(ANY_MEMBER) => metering::list_requests, gives 200 metering::RequestLog, by ["environment", "status"];

    // Catalogue
    GET "/products" show_catalogue Public => catalogue::show_catalogue;
    GET "/products/{product_slug}" show_product_page Public => catalogue::show_product;
    GET "/api/v1/products" list_products Public => catalogue::list_products, gives 200 catalogue::ProductList, by [];
    GET "/api/v1/products/{product_id}" show_product Public => catalogue::show_published_product, gives 200 catalogue::ProductView;
    GET "/api/v1/organisations/{organisation_id}/products" list_organisation_products Member(ANY_MEMBER) => catalogue::list_organisation_products, gives 200 catalogue::ProductList, by [];
    GET "/products/{product_slug}/fidelity" show_fidelity_page Public => fidelity::show_fidelity_page;
    GET "/api/v1/products/{product_id}/fidelity" show_fidelity Public => fidelity::show_fidelity, gives 200 fidelity::FidelityView;
    PUT "/api/v1/operator/products/{product_id}/fidelity" put_fidelity Operator(MANAGERS) => fidelity::put_fidelity, takes fidelity::FidelityBody, gives 200 fidelity::FidelityView;
    GET "/api/v1/operator/sandbox-faults" list_sandbox_faults Operator(OperatorRole::ANY) => fidelity::list_sandbox_faults, gives 200 fidelity::FaultList, asks ["hours", "environment", "errors"];
    GET "/operator/products/{product_id}/fidelity" show_operator_fidelity Operator(OperatorRole::ANY) => fidelity::show_operator_fidelity;
    POST "/operator/products/{product_id}/fidelity" submit_fidelity Operator(MANAGERS) => fidelity::put_fidelity_form;
    GET "/api/v1/operator/products" list_all_products Operator(OperatorRole::ANY) => catalogue::list_all_products, gives 200 catalogue::ProductList, by ["state"];
    POST "/api/v1/operator/products" create_product Operator(MANAGERS) => catalogue::create_product, takes catalogue::ProductBody, gives 201 catalogue::ProductView;
    GET "/api/v1/operator/products/{product_id}" show_any_product Operator(OperatorRole::ANY) => catalogue::show_any_product, gives 200 catalogue::ProductView;
    PATCH "/api/v1/operator/products/{product_id}" update_product Operator(MANAGERS) => catalogue::update_product, takes catalogue::ProductBody, gives 200 catalogue::ProductView;
    POST "/api/v1/operator/products/{product_id}/versions" create_product_version Operator(MANAGERS) => catalogue::create_version, takes catalogue::VersionBody, gives 201 catalogue::VersionView;
    POST "/api/v1/operator/products/{product_id}/publications" publish_product Operator(MANAGERS) => catalogue::publish_product, gives 200 catalogue::ProductView;
    POST "/api/v1/operator/products/{product_id}/withdrawals" withdraw_product Operator(MANAGERS) => catalogue::withdraw_product, gives 200 catalogue::ProductView;
    POST "/api/v1/operator/products/{product_id}/plans" create_plan Operator(MANAGERS) => catalogue::create_plan, takes catalogue::PlanBody, gives 201 catalogue::PlanView;
    PATCH "/api/v1/operator/plans/{plan_id}" update_plan Operator(MANAGERS) => catalogue::update_plan, takes catalogue::PlanBody, gives 200 catalogue::PlanView;
    POST "/api/v1/operator/plans/{plan_id}/versions" create_plan_version Operator(MANAGERS) => catalogue::create_plan_version, takes catalogue::PlanBody, gives 201 catalogue::PlanView;
    POST "/api/v1/operator/plans/{plan_id}/publications" publish_plan Operator(MANAGERS) => catalogue::publish_plan_version, takes subscriptions::PublicationBody, gives 200 catalogue::PlanView;
    GET "/api/v1/operator/plans/{plan_id}/publications/preview" preview_plan_publication Operator(OperatorRole::ANY) => catalogue::preview_plan_publication, gives 200 subscriptions::PublicationPreview;
    POST "/api/v1/operator/plans/{plan_id}/variants" create_plan_variant Operator(MANAGERS) => catalogue::create_plan_variant, takes catalogue::VariantBody, gives 201 catalogue::PlanView;
    GET "/api/v1/operator/plans/{plan_id}" show_plan Operator(OperatorRole::ANY) => catalogue::show_plan, gives 200 catalogue::PlanView;
    GET "/operator/products" show_all_products Operator(OperatorRole::ANY) => catalogue::show_all_products, by ["state"];
    POST "/operator/products" submit_product Operator(MANAGERS) => catalogue::create_product_form;
    GET "/operator/products/{product_id}" show_operator_product Operator(OperatorRole::ANY) => catalogue::show_operator_product;
    POST "/operator/products/{product_id}" submit_product_change Operator(MANAGERS) => catalogue::update_product_form;
    POST "/operator/products/{product_id}/versions" submit_product_version Operator(MANAGERS) => catalogue::create_version_form;
    POST "/operator/products/{product_id}/publish" submit_product_publication Operator(MANAGERS) => catalogue::publish_product_form;
    POST "/operator/products/{product_id}/withdraw" submit_product_withdrawal Operator(MANAGERS) => catalogue::withdraw_product_form;
    POST "/operator/products/{product_id}/plans" submit_plan Operator(MANAGERS) => catalogue::create_plan_form;
    GET "/operator/plans/{plan_id}" show_operator_plan Operator(OperatorRole::ANY) => catalogue::show_operator_plan;
    POST "/operator/plans/{plan_id}" submit_plan_draft Operator(MANAGERS) => catalogue::update_plan_form;
    POST "/operator/plans/{plan_id}/versions" submit_plan_version Operator(MANAGERS) => catalogue::create_plan_version_form;
    POST "/operator/plans/{plan_id}/variants" submit_plan_variant Operator(MANAGERS) => catalogue::create_plan_variant_form;
    POST "/operator/plans/{plan_id}/publish" submit_plan_publication Operator(MANAGERS) => catalogue::publish_plan_form;
    POST "/operator/plans/{plan_id}/withdraw" submit_plan_withdrawal Operator(MANAGERS) => catalogue::withdraw_plan_form;
    GET "/operator/edges" show_edges Operator(OperatorRole::ANY) => edges::show_edges, by [];
    POST "/api/v1/operator/plans/{plan_id}/withdrawals" withdraw_plan Operator(MANAGERS) => catalogue::withdraw_plan, gives 200 catalogue::PlanView;

    // Subscriptions
    GET "/apps/{app_id}/subscriptions" show_subscriptions Member(ANY_MEMBER) => subscriptions::show_subscriptions_page;
    POST "/apps/{app_id}/subscriptions" submit_subscription Member(BUILDERS) => subscriptions::subscribe_form;
    POST "/apps/{app_id}/subscriptions/{subscription_id}/go-live" submit_go_live Member(BUILDERS) => subscriptions::go_live_form;
    POST "/apps/{app_id}/subscriptions/{subscription_id}/plan" submit_plan_change Member(BUILDERS) => subscriptions::change_plan_form;
    POST "/apps/{app_id}/subscriptions/{subscription_id}/cancel" submit_cancellation Member(BUILDERS) => subscriptions::cancel_form;
    POST "/apps/{app_id}/subscriptions/{subscription_id}/withdraw" submit_withdrawal Member(BUILDERS) => subscriptions::withdraw_form;
    POST "/apps/{app_id}/subscriptions/{subscription_id}/keep" submit_planned_withdrawal Member(BUILDERS) => subscriptions::keep_form;
    DELETE "/api/v1/apps/{app_id}/subscriptions/{subscription_id}/planned-change" withdraw_planned_change Member(BUILDERS) => subscriptions::withdraw_planned_change, gives 200 subscriptions::SubscriptionView;
    GET "/operator/requests" show_requests Operator(OperatorRole::ANY) => subscriptions::show_requests_page, by ["state"];
    POST "/operator/requests" submit_decisions Operator(MANAGERS) => subscriptions::decide_requests_form;
    POST "/api/v1/operator/request-decisions" decide_subscription_requests Operator(MANAGERS) => subscriptions::decide_requests, takes subscriptions::RequestDecisionsBody, gives 200 web::bulk::BulkResults;
    GET "/operator/requests/{request_id}" show_request_page Operator(OperatorRole::ANY) => subscriptions::show_request_page;
    GET "/api/v1/operator/requests/{request_id}" show_subscription_request Operator(OperatorRole::ANY) => subscriptions::show_request, gives 200 subscriptions::QueuedRequest;
    GET "/apps/{app_id}/subscriptions/{subscription_id}/plan" show_plan_change Member(ANY_MEMBER) => subscriptions::preview_plan_change_page;
    POST "/operator/requests/{request_id}" submit_decision Operator(MANAGERS) => subscriptions::decide_request_form;
    GET "/api/v1/apps/{app_id}/subscriptions" list_subscriptions Member(ANY_MEMBER) => subscriptions::list_subscriptions, gives 200 subscriptions::SubscriptionList, by ["state"];
    POST "/api/v1/apps/{app_id}/subscriptions" create_subscription Member(BUILDERS) => subscriptions::create_subscription, takes subscriptions::SubscriptionBody, gives 201 subscriptions::SubscriptionView;
    GET "/api/v1/apps/{app_id}/subscriptions/{subscription_id}" show_subscription Member(ANY_MEMBER) => subscriptions::show_subscription, gives 200 subscriptions::SubscriptionDetail;
    DELETE "/api/v1/apps/{app_id}/subscriptions/{subscription_id}" cancel_subscription Member(BUILDERS) => subscriptions::cancel_subscription, gives 200 subscriptions::SubscriptionView, asks ["when", "reason"];
    POST "/api/v1/apps/{app_id}/subscriptions/{subscription_id}/go-live" go_live Member(BUILDERS) => subscriptions::go_live, takes subscriptions::GoLiveBody, gives 201 subscriptions::RequestView;
    GET "/api/v1/apps/{app_id}/subscriptions/{subscription_id}/plan-changes/preview" preview_plan_change Member(ANY_MEMBER) => subscriptions::preview_plan_change, gives 200 subscriptions::PlanChangePreview, asks ["plan_id", "when"];
    POST "/api/v1/apps/{app_id}/subscriptions/{subscription_id}/plan-changes" change_plan Member(BUILDERS) => subscriptions::change_plan, takes subscriptions::PlanChangeBody, gives 200 subscriptions::SubscriptionView;
    POST "/api/v1/apps/{app_id}/subscriptions/{subscription_id}/request-withdrawals" withdraw_request Member(BUILDERS) => subscriptions::withdraw_request, gives 200 subscriptions::RequestView;
    GET "/api/v1/operator/requests" list_subscription_requests Operator(OperatorRole::ANY) => subscriptions::list_requests, gives 200 subscriptions::RequestList, by ["state"];
    POST "/api/v1/operator/requests/{request_id}/decisions" decide_subscription_request Operator(MANAGERS) => subscriptions::decide_request, takes subscriptions::DecisionBody, gives 200 subscriptions::QueuedRequest;

    // Metering
    GET "/api/v1/operator/usage/rollup-checks" check_rollups Operator(OperatorRole::ANY) => metering::check_rollups, gives 200 metering::RollupCheckView;
    POST "/api/v1/operator/usage/rollup-rebuilds" rebuild_rollups Operator(ADMINISTRATORS) => metering::rebuild_rollups, gives 202;
    // E-mails
    GET "/operator/emails" show_emails Operator(OperatorRole::ANY) => emails::show_emails, by ["state"];
    POST "/operator/emails" submit_email_retries Operator(ADMINISTRATORS) => emails::retry_emails_form;
    POST "/api/v1/operator/email-retries" retry_emails Operator(ADMINISTRATORS) => emails::retry_emails, takes emails::EmailRetriesBody, gives 200 web::bulk::BulkResults;
    POST "/operator/emails/{email_id}/retry" submit_email_retry Operator(ADMINISTRATORS) => emails::retry_email_form;
    GET "/api/v1/operator/emails" list_emails Operator(OperatorRole::ANY) => emails::list_emails, gives 200 emails::EmailList, by ["state"];
    POST "/api/v1/operator/emails/{email_id}/retries" retry_email Operator(ADMINISTRATORS) => emails::retry_email, gives 204;

    GET "/operator/email-texts" show_email_texts Operator(OperatorRole::ANY) => emails::show_email_texts;
    GET "/operator/email-texts/{text_name}" show_email_text Operator(OperatorRole::ANY) => emails::show_email_text;
    POST "/operator/email-texts/{text_name}" submit_email_text Operator(ADMINISTRATORS) => emails::submit_email_text;
    GET "/api/v1/operator/email-texts" list_email_texts Operator(OperatorRole::ANY) => emails::list_email_texts, gives 200 emails::EmailTextList, by ["is_changed"];
    PUT "/api/v1/operator/email-texts/{text_name}" put_email_text Operator(ADMINISTRATORS) => emails::put_email_text, takes emails::Wording, gives 200 emails::EmailTextView;
    POST "/api/v1/operator/email-texts/{text_name}/previews" preview_email_text Operator(OperatorRole::ANY) => emails::preview_email_text, takes emails::Wording, gives 200 emails::Preview;
    // Webhooks
    GET "/api/v1/webhook-events" list_webhook_events Public => webhooks::list_webhook_events, gives 200 webhooks::EventTypeList, by [];
    GET "/api/v1/organisations/{organisation_id}/webhook-endpoints" list_webhook_endpoints Member(ANY_MEMBER) => webhooks::list_webhook_endpoints, gives 200 webhooks::EndpointList, by [];
    POST "/api/v1/organisations/{organisation_id}/webhook-endpoints" create_webhook_endpoint Member(BUILDERS) => webhooks::create_webhook_endpoint, takes webhooks::EndpointBody, gives 201 webhooks::EndpointWithSecret;
    GET "/api/v1/webhook-endpoints/{webhook_endpoint_id}" show_webhook_endpoint Member(ANY_MEMBER) => webhooks::show_webhook_endpoint, gives 200 webhooks::EndpointView;
    PATCH "/api/v1/webhook-endpoints/{webhook_endpoint_id}" update_webhook_endpoint Member(BUILDERS) => webhooks::update_webhook_endpoint, takes webhooks::EndpointBody, gives 200 webhooks::EndpointView;
    DELETE "/api/v1/webhook-endpoints/{webhook_endpoint_id}" delete_webhook_endpoint Member(BUILDERS) => webhooks::delete_webhook_endpoint, gives 204;
    POST "/api/v1/webhook-endpoints/{webhook_endpoint_id}/secrets" rotate_webhook_secret Member(BUILDERS) => webhooks::rotate_webhook_secret, takes webhooks::SecretBody, gives 201 webhooks::EndpointWithSecret;
    POST "/api/v1/webhook-endpoints/{webhook_endpoint_id}/test-events" send_test_event Member(BUILDERS) => webhooks::send_test_event, gives 202 webhooks::QueuedEvent;
    GET "/api/v1/webhook-endpoints/{webhook_endpoint_id}/deliveries" list_webhook_deliveries Member(ANY_MEMBER) => webhooks::list_deliveries, gives 200 webhooks::DeliveryList, by ["state"];
    GET "/api/v1/webhook-endpoints/{webhook_endpoint_id}/deliveries/{event_id}" show_webhook_delivery Member(ANY_MEMBER) => webhooks::show_delivery, gives 200 webhooks::DeliveryDetail;
    POST "/api/v1/webhook-endpoints/{webhook_endpoint_id}/deliveries/{event_id}/resends" resend_webhook_event Member(BUILDERS) => webhooks::resend_event, gives 202 webhooks::QueuedEvent;
    GET "/api/v1/operator/webhook-endpoints" list_operator_webhook_endpoints Operator(OperatorRole::ANY) => webhooks::list_webhook_endpoints, gives 200 webhooks::EndpointList, by [];
    POST "/api/v1/operator/webhook-endpoints" create_operator_webhook_endpoint Operator(ADMINISTRATORS) => webhooks::create_webhook_endpoint, takes webhooks::EndpointBody, gives 201 webhooks::EndpointWithSecret;
    GET "/api/v1/operator/webhook-endpoints/{webhook_endpoint_id}" show_operator_webhook_endpoint Operator(OperatorRole::ANY) => webhooks::show_webhook_endpoint, gives 200 webhooks::EndpointView;
    PATCH "/api/v1/operator/webhook-endpoints/{webhook_endpoint_id}" update_operator_webhook_endpoint Operator(ADMINISTRATORS) => webhooks::update_webhook_endpoint, takes webhooks::EndpointBody, gives 200 webhooks::EndpointView;
    DELETE "/api/v1/operator/webhook-endpoints/{webhook_endpoint_id}" delete_operator_webhook_endpoint Operator(ADMINISTRATORS) => webhooks::delete_webhook_endpoint, gives 204;
    POST "/api/v1/operator/webhook-endpoints/{webhook_endpoint_id}/secrets" rotate_operator_webhook_secret Operator(ADMINISTRATORS) => webhooks::rotate_webhook_secret, takes webhooks::SecretBody, gives 201 webhooks::EndpointWithSecret;
    POST "/api/v1/operator/webhook-endpoints/{webhook_endpoint_id}/test-events" send_operator_test_event Operator(ADMINISTRATORS) => webhooks::send_test_event, gives 202 webhooks::QueuedEvent;
    GET "/api/v1/operator/webhook-endpoints/{webhook_endpoint_id}/deliveries" list_operator_webhook_deliveries Operator(OperatorRole::ANY) => webhooks::list_deliveries, gives 200 webhooks::DeliveryList, by ["state"];
    GET "/api/v1/operator/webhook-endpoints/{webhook_endpoint_id}/deliveries/{event_id}" show_operator_webhook_delivery Operator(OperatorRole::ANY) => webhooks::show_delivery, gives 200 webhooks::DeliveryDetail;
    POST "/api/v1/operator/webhook-endpoints/{webhook_endpoint_id}/deliveries/{event_id}/resends" resend_operator_webhook_event Operator(ADMINISTRATORS) => webhooks::resend_event, gives 202 webhooks::QueuedEvent;
    GET "/organisations/{organisation_id}/webhooks" show_webhooks Member(ANY_MEMBER) => webhooks::show_webhooks;
    POST "/organisations/{organisation_id}/webhooks" submit_webhook Member(BUILDERS) => webhooks::create_webhook_form;
    GET "/webhook-endpoints/{webhook_endpoint_id}" show_webhook_page Member(ANY_MEMBER) => webhooks::show_webhook_page, by ["state"];
    POST "/webhook-endpoints/{webhook_endpoint_id}" submit_webhook_change Member(BUILDERS) => webhooks::update_webhook_form;
    POST "/webhook-endpoints/{webhook_endpoint_id}/switch" submit_webhook_switch Member(BUILDERS) => webhooks::switch_webhook_form;
    POST "/webhook-endpoints/{webhook_endpoint_id}/delete" submit_webhook_deletion Member(BUILDERS) => webhooks::delete_webhook_form;
    POST "/webhook-endpoints/{webhook_endpoint_id}/secrets" submit_webhook_secret Member(BUILDERS) => webhooks::rotate_webhook_secret_form;
    POST "/webhook-endpoints/{webhook_endpoint_id}/test-events" submit_test_event Member(BUILDERS) => webhooks::send_test_event_form;
    GET "/webhook-endpoints/{webhook_endpoint_id}/deliveries/{event_id}" show_webhook_delivery_page Member(ANY_MEMBER) => webhooks::show_delivery_page;
    POST "/webhook-endpoints/{webhook_endpoint_id}/deliveries/{event_id}/resend" submit_webhook_resend Member(BUILDERS) => webhooks::resend_event_form;
    GET "/operator/webhooks" show_operator_webhooks Operator(OperatorRole::ANY) => webhooks::show_webhooks;
    POST "/operator/webhooks" submit_operator_webhook Operator(ADMINISTRATORS) => webhooks::create_webhook_form;
    GET "/operator/webhook-endpoints/{webhook_endpoint_id}" show_operator_webhook_page Operator(OperatorRole::ANY) => webhooks::show_webhook_page, by ["state"];
    POST "/operator/webhook-endpoints/{webhook_endpoint_id}" submit_operator_webhook_change Operator(ADMINISTRATORS) => webhooks::update_webhook_form;
    POST "/operator/webhook-endpoints/{webhook_endpoint_id}/switch" submit_operator_webhook_switch Operator(ADMINISTRATORS) => webhooks::switch_webhook_form;
    POST "/operator/webhook-endpoints/{webhook_endpoint_id}/delete" submit_operator_webhook_deletion Operator(ADMINISTRATORS) => webhooks::delete_webhook_form;
    POST "/operator/webhook-endpoints/{webhook_endpoint_id}/secrets" submit_operator_webhook_secret Operator(ADMINISTRATORS) => webhooks::rotate_webhook_secret_form;
    POST "/operator/webhook-endpoints/{webhook_endpoint_id}/test-events" submit_operator_test_event Operator(ADMINISTRATORS) => webhooks::send_test_event_form;
    GET "/operator/webhook-endpoints/{webhook_endpoint_id}/deliveries/{event_id}" show_operator_webhook_delivery_page Operator(OperatorRole::ANY) => webhooks::show_delivery_page;
    POST "/operator/webhook-endpoints/{webhook_endpoint_id}/deliveries/{event_id}/resend" submit_operator_webhook_resend Operator(ADMINISTRATORS) => webhooks::resend_event_form;
    // Reading: reference, guides, search
    GET "/products/{product_slug}/reference" show_reference Public => reference::show_reference;
    GET "/products/{product_slug}/reference/{tag_slug}" show_reference_group Public => reference::show_reference_group;
    POST "/products/{product_slug}/try" submit_try Session => reference::try_operation;
    GET "/guides" show_guides Public => guides::show_guides;
    GET "/guides/{guide_slug}" show_guide_page Public => guides::show_guide_page;
    GET "/search" show_search Public => search::show_search;
    GET "/api/v1/search" search Public => search::search, gives 200 search::Found, by ["kind"];
    GET "/api/v1/guides" list_guides Public => guides::list_guides, gives 200 guides::GuideList, by ["kind"];
    GET "/api/v1/guides/{guide_slug}" show_guide Public => guides::show_guide, gives 200 guides::Guide;
    GET "/operator/guides" show_operator_guides Operator(OperatorRole::ANY) => guides::show_operator_guides;
    GET "/operator/guides/{guide_slug}" edit_guide Operator(OperatorRole::ANY) => guides::edit_guide;
    POST "/operator/guides/{guide_slug}" submit_guide Operator(MANAGERS) => guides::save_guide_form;
    POST "/operator/guides/{guide_slug}/delete" submit_guide_deletion Operator(MANAGERS) => guides::delete_guide_form;
    PUT "/api/v1/operator/guides/{guide_slug}" put_guide Operator(MANAGERS) => guides::put_guide, takes guides::GuideBody, gives 200 guides::Guide;
    DELETE "/api/v1/operator/guides/{guide_slug}" delete_guide Operator(MANAGERS) => guides::delete_guide, gives 204;

    // The operator's brand
    GET "/operator/brand" show_brand_page Operator(OperatorRole::ANY) => brand::show_brand_page;
    POST "/operator/brand" submit_brand Operator(ADMINISTRATORS) => brand::save_brand_form;
    GET "/api/v1/operator/brand" show_brand Operator(OperatorRole::ANY) => brand::show_brand, gives 200 brand::BrandSettings;
    PUT "/api/v1/operator/brand" replace_brand Operator(ADMINISTRATORS) => brand::replace_brand, takes brand::BrandSettings, gives 200 brand::BrandSettings;

    // OAuth
    GET "/.well-known/oauth-authorization-server" show_oauth_metadata Public => oauth::show_metadata;
    GET "/oauth/jwks" show_oauth_keys Public => oauth::show_jwks;
    GET "/oauth/authorize" show_consent Session => oauth::show_consent;
    POST "/oauth/authorize" submit_consent Session => oauth::submit_consent;
    POST "/oauth/token" issue_token Public => oauth::issue_token;
    POST "/oauth/revoke" revoke_token Public => oauth::revoke_token;
    POST "/oauth/introspect" introspect_token Public => oauth::introspect_token;
    GET "/oauth/installation" show_own_installation Public => oauth::show_own_installation;
    GET "/apps/{app_id}/oauth-clients" show_oauth_clients Member(ANY_MEMBER) => oauth::show_clients_page;
    POST "/apps/{app_id}/oauth-clients" submit_oauth_client Member(BUILDERS) => oauth::create_client_form;
    POST "/apps/{app_id}/oauth-clients/{credential_id}/secret" submit_oauth_secret Member(BUILDERS) => oauth::rotate_secret_form;
    POST "/apps/{app_id}/oauth-clients/{credential_id}/revoke" submit_oauth_client_revocation Member(BUILDERS) => oauth::revoke_client_form;
    GET "/api/v1/apps/{app_id}/oauth-clients" list_oauth_clients Member(ANY_MEMBER) => oauth::list_clients, gives 200 oauth::ClientList, by ["environment"];
    POST "/api/v1/apps/{app_id}/oauth-clients" create_oauth_client Member(BUILDERS) => oauth::create_client, takes oauth::ClientBody, gives 201 oauth::IssuedClient;
    POST "/api/v1/apps/{app_id}/oauth-clients/{credential_id}/secrets" replace_oauth_secret Member(BUILDERS) => oauth::rotate_secret, gives 201 oauth::IssuedClient;
    DELETE "/api/v1/apps/{app_id}/oauth-clients/{credential_id}" revoke_oauth_client Member(BUILDERS) => oauth::revoke_client, gives 200 oauth::ClientView;
    POST "/api/v1/operator/oauth-keys/rotations" rotate_oauth_keys Operator(ADMINISTRATORS) => oauth::rotate_keys, gives 201 oauth::KeyView;

    // Listings
    GET "/api/v1/apps/{app_id}/listing" show_listing Member(ANY_MEMBER) => listings::show_listing, gives 200 listings::ListingView;
    PATCH "/api/v1/apps/{app_id}/listing" update_listing Member(BUILDERS) => listings::update_listing, takes listings::ListingBody, gives 200 listings::ListingView;
    GET "/api/v1/apps/{app_id}/listing/funnel" show_funnel Member(ANY_MEMBER) => listings::show_funnel, gives 200 listings::Funnel;

    GET "/apps/{app_id}/listing" show_listing_page Member(ANY_MEMBER) => listings::show_listing_page;
    POST "/apps/{app_id}/listing" submit_listing_draft Member(BUILDERS) => listings::save_listing_form;
    POST "/apps/{app_id}/listing/checks" submit_listing_checks Member(BUILDERS) => listings::check_typed_listing;
    POST "/apps/{app_id}/listing/images" submit_listing_image Member(BUILDERS) => listings::upload_image_form;
    POST "/apps/{app_id}/listing/screenshots/{image_id}/remove" submit_screenshot_removal Member(BUILDERS) => listings::remove_screenshot_form;
    POST "/api/v1/apps/{app_id}/listing/images" upload_listing_image Member(BUILDERS) => listings::upload_image, gives 201 listings::ImageView;
    GET "/operator/installs" show_installs_overview Operator(OperatorRole::ANY) => listings::show_installs_overview, by ["days"];
    GET "/api/v1/operator/installs" list_installs Operator(OperatorRole::ANY) => listings::list_installs, gives 200 listings::InstallsOverview, by [], asks ["days"];
    GET "/listing-images/{image_id}" show_listing_image Public => listings::show_image;

    // Reviews
    GET "/review-rules" show_review_rules Public => reviews::show_rules_page;
    GET "/api/v1/review-rules" list_review_rules Public => reviews::list_review_rules, gives 200 reviews::RuleList, by ["track", "is_blocking"];
    GET "/apps/{app_id}/submissions" show_submissions_page Member(ANY_MEMBER) => reviews::show_submissions_page;
    POST "/apps/{app_id}/submissions" submit_listing Member(BUILDERS) => reviews::submit_listing_form;
    GET "/submissions/{submission_id}" show_submission_page Member(ANY_MEMBER) => reviews::show_submission_page;
    POST "/submissions/{submission_id}/events" submit_submission_event Member(BUILDERS) => reviews::act_on_submission_form;
    POST "/submissions/{submission_id}/messages" submit_review_message Member(BUILDERS) => reviews::send_message_form;
    GET "/api/v1/apps/{app_id}/listing/checks" check_listing Member(ANY_MEMBER) => reviews::show_checks, gives 200 reviews::Checks;
    POST "/api/v1/apps/{app_id}/listing/checks" check_unsaved_listing Member(BUILDERS) => reviews::check_unsaved_draft, takes reviews::CheckBody, gives 200 reviews::Checks;
    GET "/api/v1/apps/{app_id}/submissions" list_submissions Member(ANY_MEMBER) => reviews::list_submissions, gives 200 reviews::SubmissionList, by ["state"];
    POST "/api/v1/apps/{app_id}/submissions" create_submission Member(BUILDERS) => reviews::submit_listing, gives 201 reviews::SubmissionView;
    GET "/api/v1/submissions/{submission_id}" show_submission Member(ANY_MEMBER) => reviews::show_submission, gives 200 reviews::SubmissionView;
    POST "/api/v1/submissions/{submission_id}/events" act_on_submission Member(BUILDERS) => reviews::act_on_submission, takes reviews::EventBody, gives 200 reviews::SubmissionView;
    POST "/api/v1/submissions/{submission_id}/messages" send_review_message Member(BUILDERS) => reviews::send_message, takes threads::MessageBody, gives 200 reviews::SubmissionView;
    GET "/operator/submissions" show_review_queue_page Operator(OperatorRole::ANY) => reviews::show_queue_page, by ["state"];
    POST "/operator/submissions" submit_review_desk Operator(REVIEWERS) => reviews::submit_review_desk;
    POST "/api/v1/operator/submission-assignments" assign_submissions Operator(REVIEWERS) => reviews::assign_submissions, takes reviews::AssignmentsBody, gives 200 web::bulk::BulkResults;
    POST "/api/v1/operator/submission-decisions" decide_submissions Operator(REVIEWERS) => reviews::decide_submissions, takes reviews::SubmissionDecisionsBody, gives 200 web::bulk::BulkResults;
    GET "/operator/submissions/{submission_id}" show_review_page Operator(OperatorRole::ANY) => reviews::show_review_page;
    POST "/operator/submissions/{submission_id}/assign" submit_assignment Operator(REVIEWERS) => reviews::assign_submission_form;
    POST "/operator/submissions/{submission_id}/reviews/{track}" submit_track_review Operator(REVIEWERS) => reviews::judge_track_form;
    POST "/operator/submissions/{submission_id}/decide" submit_review_decision Operator(REVIEWERS) => reviews::decide_submission_form;
    POST "/operator/submissions/{submission_id}/messages" submit_reviewer_message Operator(REVIEWERS) => reviews::answer_message_form;
    GET "/api/v1/operator/submissions" list_review_queue Operator(OperatorRole::ANY) => reviews::show_queue, gives 200 reviews::Queue, by ["state"];
    GET "/api/v1/operator/submissions/{submission_id}" show_review Operator(OperatorRole::ANY) => reviews::show_review, gives 200 reviews::ReviewView;
    POST "/api/v1/operator/submissions/{submission_id}/assignments" assign_submission Operator(REVIEWERS) => reviews::assign_submission, takes reviews::AssignmentBody, gives 200 reviews::ReviewView;
    PUT "/api/v1/operator/submissions/{submission_id}/reviews/{track}" put_track_review Operator(REVIEWERS) => reviews::put_track_review, takes reviews::ReviewBody, gives 200 reviews::ReviewView;
    POST "/api/v1/operator/submissions/{submission_id}/decisions" decide_submission Operator(REVIEWERS) => reviews::decide_submission, takes reviews::DecisionBody, gives 200 reviews::ReviewView;
    POST "/api/v1/operator/submissions/{submission_id}/messages" answer_review_message Operator(REVIEWERS) => reviews::answer_message, takes threads::MessageBody, gives 200 reviews::ReviewView;
    GET "/api/v1/operator/review-templates" list_review_templates Operator(OperatorRole::ANY) => reviews::list_review_templates, gives 200 reviews::ReasonTemplateList, by [];
    PUT "/api/v1/operator/review-templates" put_review_template Operator(REVIEWERS) => reviews::put_review_template, takes reviews::ReasonTemplate, gives 200 reviews::ReasonTemplateList;
    DELETE "/api/v1/operator/review-templates/{name}" delete_review_template Operator(REVIEWERS) => reviews::delete_review_template, gives 204;
    GET "/operator/review-templates" show_review_templates_page Operator(OperatorRole::ANY) => reviews::show_reasons_page;
    POST "/operator/review-templates" submit_review_template Operator(REVIEWERS) => reviews::submit_reason;
    POST "/operator/review-templates/remove" submit_review_template_removal Operator(REVIEWERS) => reviews::submit_reason_removal;

    // Directory
    GET "/directory" show_directory Public => directory::show_directory;
    GET "/directory/{slug}" show_directory_app Public => directory::show_directory_app;
    POST "/installations/{installation_id}/opinion" submit_opinion Session => directory::submit_opinion;
    PUT "/api/v1/installations/{installation_id}/opinion" put_opinion Session => directory::put_opinion, takes directory::OpinionBody, gives 200 directory::Opinion;
    GET "/operator/opinions" show_opinions_page Operator(OperatorRole::ANY) => directory::show_opinions_page, by ["is_shown"];
    POST "/operator/opinions" submit_opinion_choices Operator(EDITORS) => directory::submit_opinion_choices;
    POST "/api/v1/operator/opinion-choices" choose_opinions Operator(EDITORS) => directory::choose_opinions, takes directory::OpinionChoicesBody, gives 200 web::bulk::BulkResults;
    POST "/operator/opinions/{installation_id}" submit_opinion_choice Operator(EDITORS) => directory::submit_opinion_choice;
    GET "/api/v1/operator/opinions" list_opinions Operator(OperatorRole::ANY) => directory::show_opinions, gives 200 directory::OpinionList, by ["is_shown"];
    PUT "/api/v1/operator/opinions/{installation_id}" put_opinion_choice Operator(EDITORS) => directory::put_opinion_choice, takes directory::OpinionChoice, gives 200 directory::Opinion;
    GET "/robots.txt" show_robots Public => directory::show_robots;
    GET "/sitemap.xml" show_sitemap Public => directory::show_sitemap;
    GET "/directory-partners" show_partner_directory Public => directory::show_partner_directory;
    GET "/directory/{slug}/install" begin_install Session => oauth::begin_install;
    POST "/directory/{slug}/install" submit_install Session => oauth::submit_install;
    GET "/api/v1/directory" list_directory Public => directory::list_directory, gives 200 directory::DirectoryList, by ["category", "language"];
    GET "/api/v1/directory/{slug}" show_directory_entry Public => directory::show_directory_entry, gives 200 directory::DirectoryEntry;

    // Installations
    GET "/installations" show_installations_page Session => installations::show_installations_page, by ["environment"];
    GET "/installations/{installation_id}" show_installation_page Session => installations::show_installation_page;
    POST "/installations/{installation_id}/configure" submit_configuration Session => installations::configure_installation_form;
    POST "/installations/{installation_id}/remove" submit_uninstallation Session => installations::remove_installation_form;
    GET "/apps/{app_id}/installs" show_installs_page Member(ANY_MEMBER) => installations::show_installs_page, by ["environment"];
    GET "/api/v1/installations" list_installations Session => installations::list_installations, gives 200 installations::InstallationList, by ["environment"];
    GET "/api/v1/installations/{installation_id}" show_installation Session => installations::show_installation, gives 200 installations::InstallationView;
    PATCH "/api/v1/installations/{installation_id}" configure_installation Session => installations::configure_installation, takes installations::ConfigurationBody, gives 200 installations::InstallationView;
    DELETE "/api/v1/installations/{installation_id}" remove_installation Session => installations::remove_installation, gives 200 installations::InstallationView;
    GET "/api/v1/apps/{app_id}/installations" list_app_installations Member(ANY_MEMBER) => installations::list_app_installations, gives 200 installations::InstallationList, by ["environment"];
    GET "/api/v1/apps/{app_id}/installations/{installation_id}" show_app_installation Member(BUILDERS) => installations::show_app_installation, gives 200 installations::InstallationView;

    // Threads between partners and staff
    GET "/organisations/{organisation_id}/support" show_support Member(ANY_MEMBER) => threads::show_threads_page, by ["app", "tag"];
    POST "/organisations/{organisation_id}/support" submit_thread Member(ANY_MEMBER) => threads::submit_thread;
    GET "/threads/{thread_id}" show_thread_page Member(ANY_MEMBER) => threads::show_thread_page;
    POST "/threads/{thread_id}/messages" submit_thread_message Member(ANY_MEMBER) => threads::submit_thread_message;
    GET "/api/v1/organisations/{organisation_id}/threads" list_threads Member(ANY_MEMBER) => threads::list_threads, gives 200 threads::ThreadList, by ["app", "tag"];
    POST "/api/v1/organisations/{organisation_id}/threads" open_thread Member(ANY_MEMBER) => threads::open_thread, takes threads::NewThreadBody, gives 201 threads::ThreadView;
    GET "/api/v1/threads/{thread_id}" show_thread Member(ANY_MEMBER) => threads::show_thread, gives 200 threads::ThreadView;
    POST "/api/v1/threads/{thread_id}/messages" write_in_thread Member(ANY_MEMBER) => threads::write_in_thread, takes threads::MessageBody, gives 200 threads::ThreadView;
    GET "/operator/threads" show_thread_queue Operator(OperatorRole::ANY) => threads::show_thread_queue, by ["state", "organisation_id", "app", "tag"];
    POST "/operator/threads" submit_thread_changes Operator(EDITORS) => threads::submit_thread_changes;
    POST "/api/v1/operator/thread-changes" change_threads Operator(EDITORS) => threads::change_threads, takes threads::ThreadChangesBody, gives 200 web::bulk::BulkResults;
    GET "/operator/threads/{thread_id}" show_operator_thread_page Operator(OperatorRole::ANY) => threads::show_operator_thread_page;
    POST "/operator/threads/{thread_id}/messages" submit_thread_answer Operator(EDITORS) => threads::submit_thread_answer;
    POST "/operator/threads/{thread_id}/change" submit_thread_change Operator(EDITORS) => threads::submit_thread_change;
    GET "/api/v1/operator/threads" list_all_threads Operator(OperatorRole::ANY) => threads::list_all_threads, gives 200 threads::ThreadList, by ["state", "organisation_id", "app", "tag"];
    POST "/api/v1/operator/organisations/{organisation_id}/threads" open_thread_with_partner Operator(EDITORS) => threads::open_thread_with_partner, takes threads::NewThreadBody, gives 201 threads::ThreadView;
    GET "/api/v1/operator/threads/{thread_id}" show_operator_thread Operator(OperatorRole::ANY) => threads::show_operator_thread, gives 200 threads::ThreadView;
    POST "/api/v1/operator/threads/{thread_id}/messages" answer_thread Operator(EDITORS) => threads::answer_thread, takes threads::MessageBody, gives 200 threads::ThreadView;
    PATCH "/api/v1/operator/threads/{thread_id}" change_thread Operator(EDITORS) => threads::change_thread, takes threads::ThreadChangeBody, gives 200 threads::ThreadView;

    // Usage over all apps of an organisation
    GET "/organisations/{organisation_id}/usage" show_organisation_usage Member(ANY_MEMBER) => analytics::show_usage;
    GET "/api/v1/organisations/{organisation_id}/usage" read_organisation_usage Member(ANY_MEMBER) => analytics::read_usage, gives 200 analytics::Report;
    // The operator's analytics
    GET "/operator/analytics" show_analytics Operator(OperatorRole::ANY) => analytics::show_report;
    GET "/operator/analytics/{report}" show_analytics_report Operator(OperatorRole::ANY) => analytics::show_report;
    GET "/operator/programme-costs" show_programme_costs Operator(OperatorRole::ANY) => analytics::show_programme_costs;
    POST "/operator/programme-costs" submit_programme_cost Operator(FINANCE) => analytics::submit_programme_cost;
    POST "/operator/programme-costs/{programme_cost_id}/remove" submit_programme_cost_removal Operator(FINANCE) => analytics::submit_programme_cost_removal;
    GET "/api/v1/operator/programme-costs" list_programme_costs Operator(OperatorRole::ANY) => analytics::list_programme_costs, gives 200 analytics::ProgrammeCostList, by ["currency"];
    POST "/api/v1/operator/programme-costs" create_programme_cost Operator(FINANCE) => analytics::create_programme_cost, takes analytics::ProgrammeCostBody, gives 201;
    DELETE "/api/v1/operator/programme-costs/{programme_cost_id}" delete_programme_cost Operator(FINANCE) => analytics::delete_programme_cost, gives 204;
    GET "/api/v1/operator/analytics/{report}" read_analytics_report Operator(OperatorRole::ANY) => analytics::read_report, gives 200 analytics::Report;

    // Billing
    GET "/organisations/{organisation_id}/billing" show_billing Member(ANY_MEMBER) => billing::show_billing, by ["state"];
    POST "/organisations/{organisation_id}/billing/account" submit_billing_account Member(PAYERS) => billing::submit_billing_account;
    POST "/organisations/{organisation_id}/billing/coupons" submit_coupon Member(PAYERS) => billing::submit_coupon;
    GET "/apps/{app_id}/subscriptions/{subscription_id}/shadow-invoice" show_shadow_invoice Member(ANY_MEMBER) => billing::show_shadow_invoice;
    GET "/invoices/{invoice_id}" show_invoice Member(ANY_MEMBER) => billing::show_invoice;
    GET "/api/v1/organisations/{organisation_id}/billing" get_billing Member(ANY_MEMBER) => billing::get_billing, gives 200 billing::BillingView;
    PUT "/api/v1/organisations/{organisation_id}/billing/account" put_billing_account Member(PAYERS) => billing::put_billing_account, takes billing::AccountView, gives 200 billing::AccountView;
    POST "/api/v1/organisations/{organisation_id}/billing/coupons" redeem_coupon Member(PAYERS) => billing::redeem_coupon, takes billing::RedemptionRequest, gives 204;
    GET "/api/v1/apps/{app_id}/subscriptions/{subscription_id}/shadow-invoice" get_shadow_invoice Member(ANY_MEMBER) => billing::get_shadow_invoice, gives 200 billing::shadow::ShadowInvoice, asks ["plan_id", "at"];
    GET "/api/v1/organisations/{organisation_id}/invoices" list_invoices Member(ANY_MEMBER) => billing::list_invoices, gives 200 billing::InvoiceList, by ["state"];
    GET "/api/v1/invoices/{invoice_id}" get_invoice Member(ANY_MEMBER) => billing::get_invoice, gives 200 billing::InvoiceDetail;
    GET "/api/v1/invoices/{invoice_id}/csv" get_invoice_csv Member(ANY_MEMBER) => billing::get_invoice_csv;
    POST "/api/v1/payments/stripe/events" receive_stripe_event Public => billing::receive_stripe_event;
    GET "/operator/billing" show_operator_billing Operator(OperatorRole::ANY) => billing::show_operator_billing, by ["state"];
    GET "/operator/invoices/{invoice_id}" show_operator_invoice Operator(OperatorRole::ANY) => billing::show_operator_invoice;
    POST "/operator/invoices/{invoice_id}/payments" submit_payment Operator(FINANCE) => billing::submit_payment;
    POST "/operator/invoices/{invoice_id}/void" submit_void Operator(FINANCE) => billing::submit_void;
    POST "/operator/invoices/{invoice_id}/uncollectible" submit_uncollectible Operator(FINANCE) => billing::submit_uncollectible;
    POST "/operator/invoices/{invoice_id}/credit-notes" submit_credit_note Operator(FINANCE) => billing::submit_credit_note;
    POST "/operator/tax-rates" submit_tax_rate Operator(FINANCE) => billing::submit_tax_rate;
    POST "/operator/tax-rates/{tax_rate_id}/end" submit_tax_rate_end Operator(FINANCE) => billing::submit_tax_rate_end;
    POST "/operator/coupons" submit_new_coupon Operator(FINANCE) => billing::submit_new_coupon;
    POST "/operator/wallets" submit_top_up Operator(FINANCE) => billing::submit_top_up;
    GET "/api/v1/operator/billing" get_operator_billing Operator(OperatorRole::ANY) => billing::get_operator_billing, gives 200 billing::OperatorBillingView;
    GET "/api/v1/operator/invoices" list_all_invoices Operator(OperatorRole::ANY) => billing::list_all_invoices, gives 200 billing::InvoiceList, by ["state"];
    GET "/api/v1/operator/invoices/{invoice_id}" get_operator_invoice Operator(OperatorRole::ANY) => billing::get_invoice, gives 200 billing::InvoiceDetail;
    POST "/api/v1/operator/invoices/{invoice_id}/payments" record_payment Operator(FINANCE) => billing::record_payment, takes billing::PaymentRequest, gives 204;
    POST "/api/v1/operator/invoices/{invoice_id}/void" void_invoice Operator(FINANCE) => billing::void_invoice, takes billing::ReasonRequest, gives 204;
    POST "/api/v1/operator/invoices/{invoice_id}/uncollectible" mark_uncollectible Operator(FINANCE) => billing::mark_uncollectible, takes billing::ReasonRequest, gives 204;
    POST "/api/v1/operator/invoices/{invoice_id}/credit-notes" create_credit_note Operator(FINANCE) => billing::create_credit_note, takes billing::CreditNoteRequest, gives 201;
    POST "/api/v1/operator/tax-rates" create_tax_rate Operator(FINANCE) => billing::create_tax_rate, takes billing::TaxRateRequest, gives 201;
    DELETE "/api/v1/operator/tax-rates/{tax_rate_id}" end_tax_rate Operator(FINANCE) => billing::end_tax_rate, gives 204;
    POST "/api/v1/operator/coupons" create_coupon Operator(FINANCE) => billing::create_coupon, takes billing::CouponRequest, gives 201;
    POST "/api/v1/operator/wallets/{partner_id}/entries" top_up_wallet Operator(FINANCE) => billing::top_up_wallet, takes billing::TopUpRequest, gives 204;

    // Edges
    GET "/edge/v1/feed" read_feed Edge => edges::read_feed;
    GET "/edge/v1/snapshot" read_snapshot Edge => edges::read_snapshot;
    POST "/edge/v1/report" post_report Edge => edges::post_report;
    GET "/api/v1/operator/edges" list_edges Operator(OperatorRole::ANY) => edges::list_edges, gives 200 edges::EdgeList, by ["state"];
    POST "/internal/tick" run_tick Tick => edges::run_tick;
    POST "/dev/seed" seed Development => seed::seed;
    POST "/dev/seed/history" play_history Development => seed::history::play_history;
}
