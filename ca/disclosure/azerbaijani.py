"""The statement in Azerbaijani."""

from ca.disclosure.wording import Condition, Fact, SectionWording, Sentence, Wording

WORDING = Wording(
    language="az",
    language_name="Azərbaycanca",
    title="Açıq açar infrastrukturu (PKI) haqqında bəyanat",
    index_title="Açıq açar infrastrukturu (PKI) haqqında bəyanatlar",
    test_notice=(
        "TEST. Bu, sınaq qurğusudur. Onun operatoru kvalifikasiyalı etibar xidməti təminatçısı"
        " deyil, imza vasitələri isə heç kimin sertifikatlaşdırmadığı proqram təminatıdır. Onun"
        " heç bir sertifikatına etibar etməyin."
    ),
    introduction=(
        Sentence(
            "Bu bəyanat {operator} təşkilatının nəyə söz verdiyini və sizdən nə gözlədiyini qısaca"
            " bildirir. O, xülasədir: sertifikat siyasəti, sertifikatlaşdırma təcrübəsi haqqında"
            " bəyanat və sizinlə bağlanan müqavilə hər şeyi tam əks etdirir və bu bəyanatdan"
            " fərqləndikdə onlar əsas götürülür."
        ),
    ),
    sections=(
        SectionWording(
            "contact",
            "Etibar xidməti təminatçısının əlaqə məlumatları",
            (
                Sentence(
                    "Sertifikatın ləğvini günün istənilən saatında telefonla və ya onlayn tələb"
                    " edin. Qalan məsələlər üçün digər ünvanlardan istifadə edin."
                ),
            ),
            (
                Fact("Etibar xidməti təminatçısı", "operator"),
                Fact("İdentifikator", "operator_identifier"),
                Fact("Ünvan", "address"),
                Fact("E-poçt", "email"),
                Fact("Telefon", "telephone"),
                Fact("Veb-sayt", "website"),
                Fact("Telefonla ləğvetmə", "revocation_telephone"),
                Fact("Onlayn ləğvetmə", "revocation_url"),
            ),
        ),
        SectionWording(
            "certificates",
            "Sertifikatın növü, yoxlama qaydaları və istifadəsi",
            (
                Sentence(
                    "{operator} vətəndaşlara, hüquqi şəxs adından çıxış edən şəxslərə və dövlət"
                    " orqanlarının vəzifəli şəxslərinə sertifikat verir. Onların hər biri hər kart"
                    " və ya SIM üçün iki sertifikat alır. Təşkilatlar möhür və X-Road üçün"
                    " sertifikat alır:"
                ),
            ),
            (
                Fact("İmza üçün, siyasətlər", "signing_policies"),
                Fact("Autentifikasiya üçün, siyasətlər", "authentication_policies"),
                Fact("Möhür üçün, siyasətlər", "seal_policies"),
                Fact("X-Road üçün, siyasətlər", "xroad_policies"),
            ),
            (
                Sentence(
                    "İmza sertifikatı yalnız elektron imza üçündür. Autentifikasiya sertifikatı"
                    " sahibinin kim olduğunu xidmətə göstərir və onunla sənəd imzalanmır."
                ),
                Sentence(
                    "Möhür sertifikatında təşkilatın adı göstərilir və o, yalnız təşkilatın"
                    " elektron möhürü üçündür. Möhür sənədin təşkilatdan gəldiyini göstərir; o,"
                    " heç kimin imzası deyil."
                ),
                Sentence(
                    "X-Road sertifikatları təşkilatlar arasında məlumat mübadiləsi sistemi olan"
                    " X-Road-un üzvləri və təhlükəsizlik serverləri üçündür. Onlar"
                    " kvalifikasiyalı deyil."
                ),
                Sentence(
                    "Sertifikat verilməzdən əvvəl əməkdaş müraciət edənin şəxsiyyətini yoxlayır."
                    " Şəxs təşkilat adından çıxış edirsə və ya sertifikat təşkilatın özünə"
                    " verilirsə, ikinci əməkdaş təsdiq edir. Müraciət edən şəxsi açarın onda"
                    " olduğunu sübut edir."
                ),
                Sentence("Sertifikat ən çoxu {validity_years} il etibarlıdır."),
                Sentence(
                    "İmza və möhür sertifikatlarının şəxsi açarları kvalifikasiyalı imza və möhür"
                    " yaratma vasitələrindədir.",
                    Condition.SECURE_DEVICE,
                ),
                Sentence(
                    "Şəxsi açarı saxlayan vasitə barədə heç bir təminat verilmir.",
                    Condition.NO_SECURE_DEVICE,
                ),
                Sentence(
                    "Sertifikatlarda kvalifikasiyalı vasitənin adı yalnız sertifikatın formasını"
                    " göstərmək üçün çəkilir. Açarlar proqram təminatındadır.",
                    Condition.TEST,
                ),
                Sentence(
                    "Sertifikatdan onda göstərilməyən məqsəd üçün və başqalarına sertifikat"
                    " vermək üçün istifadə etməyin."
                ),
            ),
        ),
        SectionWording(
            "reliance",
            "Etibar hədləri",
            (
                Sentence(
                    "Sertifikat {reliance_limit} məbləğinədək olan əməliyyatlar üçündür.",
                    Condition.RELIANCE_LIMIT,
                ),
                Sentence("Əməliyyatın məbləği məhdudlaşdırılmır.", Condition.NO_RELIANCE_LIMIT),
                Sentence(
                    "Qeydiyyat və hadisə qeydləri sertifikatın müddəti bitdikdən sonra"
                    " {retention_years} il saxlanılır. Onlarda vaxt UTC ilə göstərilir. Vaxt"
                    " möhürü UTC-dən ən çoxu bir saniyə fərqlənir."
                ),
            ),
        ),
        SectionWording(
            "subscribers",
            "Sertifikat sahiblərinin öhdəlikləri",
            (Sentence("Sertifikat sahibi kimi vəzifələriniz bunlardır:"),),
            (),
            (
                Sentence("Müraciət edərkən doğru və tam məlumat verin."),
                Sentence(
                    "İstifadə etməzdən əvvəl sertifikatda sizin haqqınızda yazılanları yoxlayın"
                    " və səhvləri bildirin."
                ),
                Sentence(
                    "Kartı, SIM-i və PIN-i yalnız özünüzdə saxlayın. Heç kimin sizdən PIN"
                    " soruşmağa haqqı yoxdur, biz də soruşmuruq."
                ),
                Sentence(
                    "Açardan yalnız sertifikatın icazə verdiyi məqsədlə və onun hədləri daxilində"
                    " istifadə edin."
                ),
                Sentence(
                    "Təşkilatsınızsa, möhürdən yalnız səlahiyyət verdiyiniz şəxslərin istifadə"
                    " etməsinə icazə verin və X-Road serverlərinizin açarlarını öz nəzarətinizdə"
                    " saxlayın."
                ),
                Sentence(
                    "Vasitə itdikdə və ya oğurlandıqda, PIN-i başqası bilə bildikdə, yaxud"
                    " sertifikatdakı məlumat artıq doğru olmadıqda dərhal ləğvetmə tələb edin."
                ),
                Sentence(
                    "Sertifikatın müddəti bitdikdə, o ləğv edildikdə və ya dayandırıldıqda, yaxud"
                    " sertifikat mərkəzinin açarının təhlükə altında olduğunu öyrəndikdə açardan"
                    " bir daha istifadə etməyin."
                ),
            ),
        ),
        SectionWording(
            "status",
            "Etibar edən tərəflərin sertifikatın statusunu yoxlamaq öhdəlikləri",
            (
                Sentence(
                    "Sertifikata etibar edənin vəzifələri bunlardır. Statuslar ödənişsizdir və"
                    " sertifikatın müddəti bitdikdən sonra da əlçatan qalır."
                ),
            ),
            (
                Fact("Status xidməti (OCSP)", "ocsp_url"),
                Fact("Ləğv edilmiş sertifikatların siyahıları (CRL)", "crl_url"),
                Fact("Etibarlı siyahı", "trusted_list_url", Condition.TRUSTED_LIST),
            ),
            (
                Sentence(
                    "Barmaq izini etibarlı mənbədən aldığınız kök sertifikatadək zəncirdəki hər"
                    " sertifikatın statusunu soruşun."
                ),
                Sentence(
                    "İmzanı imzalayanın iddia etdiyi vaxta görə yox, vaxt möhürünün sübut etdiyi"
                    " vaxtdakı statusa görə qiymətləndirin."
                ),
                Sentence(
                    "Sertifikatın istifadə edildiyi məqsəd üçün olduğunu yoxlayın və hədlərinə"
                    " riayət edin."
                ),
                Sentence(
                    "Nəzərə alın ki, ləğvetmə tələbi barədə 24 saat ərzində qərar verilir və yeni"
                    " status qərardan sonra 60 dəqiqə ərzində dərc olunur."
                ),
            ),
        ),
        SectionWording(
            "warranty",
            "Məhdud zəmanət və məsuliyyətin məhdudlaşdırılması",
            (
                Sentence(
                    "{operator} öz vəzifələrini yerinə yetirməyərək qəsdən və ya"
                    " ehtiyatsızlıqdan vurduğu zərərə görə tətbiq olunan qanuna əsasən məsuliyyət"
                    " daşıyır. Qanun daha artığını tələb etmirsə, bir sertifikata görə ən çoxu"
                    " {liability_limit} ödəyir."
                ),
                Sentence("O, aşağıdakılardan irəli gələn zərərə görə məsuliyyət daşımır:"),
            ),
            (),
            (
                Sentence("sertifikat sahibinin verdiyi yanlış məlumat;"),
                Sentence("qorunmayan vasitə və ya PIN, yaxud bildirilməyən itki;"),
                Sentence("sertifikatdan məqsədindən və ya hədlərindən kənar istifadə;"),
                Sentence("etibar edən tərəfin yoxlamadığı status;"),
                Sentence("heç kimin qabaqcadan görə və qarşısını ala bilmədiyi hadisələr."),
            ),
        ),
        SectionWording(
            "agreements",
            "Tətbiq olunan müqavilələr, CPS, CP",
            (Sentence("Bu sənədlər tam qüvvədədir:"),),
            (
                Fact("Sertifikat siyasəti", "policy_url"),
                Fact("Sertifikatlaşdırma təcrübəsi haqqında bəyanat", "practice_statement_url"),
                Fact("Şərtlər", "terms_url"),
            ),
        ),
        SectionWording(
            "privacy",
            "Məxfilik siyasəti",
            (
                Sentence(
                    "Biz adınızı, nömrənizi, baxılmış şəxsiyyət sənədini, əlaqə məlumatlarınızı və"
                    " sertifikatlarınızla baş verənləri saxlayırıq. Bunlardan sertifikatları"
                    " vermək və idarə etmək üçün istifadə edirik və onları sertifikatın müddəti"
                    " bitdikdən sonra {retention_years} il saxlayırıq. Başqalarına yalnız qanun"
                    " tələb etdikdə veririk."
                ),
                Sentence(
                    "Adınız və nömrəniz sertifikatda yazılır. İmzanızı alan hər kəs onları görür."
                ),
            ),
            (Fact("Məxfilik siyasəti", "privacy_url"),),
        ),
        SectionWording(
            "refund",
            "Ödənişin qaytarılması qaydası",
            (
                Sentence(
                    "Sertifikat verilməyibsə və ya bizim təqsirimizdən istifadəyə yararsızdırsa,"
                    " haqqın {refund_days} gün ərzində qaytarılmasını tələb edə bilərsiniz.",
                    Condition.REFUND,
                ),
                Sentence("Qanun tələb etmədikdə ödəniş qaytarılmır.", Condition.NO_REFUND),
            ),
        ),
        SectionWording(
            "law",
            "Tətbiq olunan qanun, şikayətlər və mübahisələrin həlli",
            (
                Sentence("{law}"),
                Sentence(
                    "Şikayəti aşağıdakı ünvana göndərin. {complaints_days} gün ərzində cavab"
                    " alacaqsınız. Cavab sizi qane etməsə, nəzarət orqanına müraciət edin."
                ),
                Sentence("{courts}"),
            ),
            (
                Fact("Şikayətlər", "complaints_email"),
                Fact("Nəzarət orqanı", "supervisory_body"),
                Fact("Onun veb-saytı", "supervisory_url"),
            ),
        ),
        SectionWording(
            "audit",
            "Təminatçının və repozitorinin lisenziyaları, etibar nişanları və audit",
            (
                Sentence(
                    "{operator} sınaq qurğusunu idarə edir. O, nə sertifikatlaşdırılıb, nə də"
                    " auditdən keçib, lisenziyası və etibar nişanı yoxdur.",
                    Condition.TEST,
                ),
                Sentence("{audits}"),
                Sentence(
                    "Sertifikat mərkəzlərinin sertifikatları və ləğv siyahıları aşağıdakı ünvanda"
                    " dərc olunur."
                ),
            ),
            (Fact("Repozitori", "repository_url"),),
        ),
    ),
    contents="Mündəricat",
    languages="Dillər",
    version="Versiya",
    effective="Qüvvəyə minmə tarixi",
    as_pdf="PDF kimi",
    all_versions="Bütün versiyalar",
    current="qüvvədədir",
    earlier="əvvəlki",
    digest="PDF-in SHA-256 heşi",
    page="Səhifə",
)
